"""The records of a data set on the Hugging Face hub, or of a folder laid out like one, through `datasets`."""

from data.rules.findings import one_line
from data.source_records import DatasetSplit
from data.user_error import UserError


def load_splits(name: str, config: str | None, split: str | None, revision: str | None) -> list[DatasetSplit]:
    """Every split of a data set, or the one that is named; read from the library's cache, not held.

    Raises UserError where the library cannot give it: no such data set, configuration or split, no way to the hub.
    """
    from datasets import Dataset, DatasetDict, disable_progress_bars, load_dataset
    from datasets.exceptions import DatasetsError

    disable_progress_bars()
    try:
        loaded = load_dataset(name, config, split=split, revision=revision)
    except (OSError, ValueError, DatasetsError) as error:
        what = one_line(str(error))
        fix = "check name, --config, --split and --revision, and that the hub can be reached"
        raise UserError(f"cannot be loaded: {what}", where=f"--dataset {name}", fix=fix) from error
    assert isinstance(loaded, Dataset | DatasetDict), "streaming was not asked for"
    splits = {str(loaded.split): loaded} if isinstance(loaded, Dataset) else loaded
    place = f"{name}{f'@{revision}' if revision else ''}{f':{config}' if config else ''}"
    return [DatasetSplit(f"{place}:{kind}", rows) for kind, rows in splits.items()]
