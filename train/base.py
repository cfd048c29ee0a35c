"""Make the base folder of a recipe: python -m train.base RECIPE [section.key=value ...]

Writes runs/NAME/base: weights (converted from GGUF, or linked), tokenizer, our chat template, generation config and
manifest, so that the untuned model is served and scored exactly as the tuned one will be.
"""

import argparse
from pathlib import Path

from data.settings import load_settings
from data.user_error import run_program
from train.base_model import build_base
from train.settings import TrainRecipe


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", type=Path, help="recipe YAML")
    parser.add_argument("overrides", nargs="*", help="section.key=value")
    args = parser.parse_args()
    recipe = load_settings(args.recipe, args.overrides, TrainRecipe)
    folder = recipe.folder / "base"
    for mend in build_base(recipe, folder):
        print(f"mended: {mend}")
    print(f"base model: {folder}")


if __name__ == "__main__":
    run_program(main)
