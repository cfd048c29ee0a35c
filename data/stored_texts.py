"""Texts that stay on disk: each is read again whenever it is asked for."""

from array import array
from tempfile import TemporaryFile, gettempdir

from data.user_error import UserError


class StoredTexts:
    """Texts in a file that is gone when the program ends, found by their place; 8 bytes of memory for each."""

    def __init__(self) -> None:
        self._file = TemporaryFile()  # noqa: SIM115  # open as long as its texts are asked for
        self._starts = array("Q", [0])

    def append(self, text: str) -> int:
        """The place by which the text is found again. Raises UserError for a full disk."""
        data, end = text.encode(errors="surrogatepass"), self._starts[-1]
        try:
            self._file.seek(end)
            self._file.write(data)
        except OSError as error:
            raise _refused(error) from error
        self._starts.append(end + len(data))
        return len(self._starts) - 2

    def __getitem__(self, place: int) -> str:
        start, end = self._starts[place : place + 2]
        try:
            self._file.seek(start)  # what was written last goes to the disk here
            return self._file.read(end - start).decode(errors="surrogatepass")
        except OSError as error:
            raise _refused(error) from error


def _refused(error: OSError) -> UserError:
    fix = "make room, or name another folder in TMPDIR"
    return UserError(f"a temporary file cannot be written: {error.strerror}", where=gettempdir(), fix=fix)
