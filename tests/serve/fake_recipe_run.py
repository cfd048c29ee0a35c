"""`recipes.run` for the tests of the worker: the same files in the run folder, and no training behind them.

    python tests/serve/fake_recipe_run.py RECIPE [--no-eval]

Beside the recipe, `fake.json` may say {"seconds": a step's, "eat": bytes that each
step holds on to, "fail": last line of the log, "status": exit status}.
"""

import json
import signal
import sys
import time
from pathlib import Path

import yaml


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    recipe = yaml.safe_load(Path(sys.argv[1]).read_text())
    folder = Path(recipe["runs"]) / recipe["name"]
    plan = folder.parent / "fake.json"
    wanted = json.loads(plan.read_text()) if plan.is_file() else {}
    if "fail" in wanted:
        print(wanted["fail"])
        sys.exit(wanted["status"])
    rows = Path(recipe["data"]["train"][0]).read_text().splitlines()
    lost = [{"where": f"{recipe['data']['train'][0]}:{line}"} for line in wanted.get("too_long", [])]
    counts = {"rows": len(rows) - len(lost), "tokens": 1000, "dropped": {"too_long": len(lost)} if lost else {}}
    write(folder / "rows" / "summary.json", json.dumps({"train": counts}))
    write(folder / "rows" / "dropped.jsonl", "".join(json.dumps(row) + "\n" for row in lost))
    write(folder / "rows" / "train.jsonl", "")
    sft = recipe["sft"]
    batch = sft["per_device_train_batch_size"] * sft["gradient_accumulation_steps"]
    per_epoch = -(-len(rows) // batch)
    eaten = []
    for step in range(last_checkpoint(folder) + 1, per_epoch * sft["num_train_epochs"] + 1):
        time.sleep(wanted.get("seconds", 0.0))
        eaten.append(b"x" * wanted.get("eat", 0))
        log = {"time": time.time(), "step": step, "loss": 1 / step, "mean_token_accuracy": 1 - 1 / step}
        with (folder / "events.jsonl").open("a") as file:
            file.write(json.dumps(log | {"epoch": step / per_epoch}) + "\n")
        if step % per_epoch == 0:
            write_adapter(folder / "checkpoints" / f"checkpoint-{step}")
            write(folder / "checkpoints" / f"checkpoint-{step}" / "trainer_state.json", "{}")
    write_adapter(folder / "adapter")
    if "verdict" in wanted and "--no-eval" not in sys.argv:
        write(folder / "verdict.json", json.dumps(wanted["verdict"]))
    write(folder / "merged" / "calltune.json", "{}")


def last_checkpoint(folder: Path) -> int:
    return max((int(path.name.rpartition("-")[2]) for path in folder.glob("checkpoints/checkpoint-*")), default=0)


def write_adapter(folder: Path) -> None:
    write(folder / "adapter_config.json", "{}")
    write(folder / "adapter_model.safetensors", "")


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


if __name__ == "__main__":
    main()
