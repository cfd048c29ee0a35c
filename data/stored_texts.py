"""Texts that stay on disk: each is read again whenever it is asked for."""

from array import array
from tempfile import TemporaryFile, gettempdir

from data.user_error import UserError


class StoredTexts:
    """Texts in a file without a name, found by their place; 8 bytes of memory for each."""

    def __init__(self) -> None:
        self._file = TemporaryFile()  # noqa: SIM115  # open as long as its texts are asked for
        self._starts = array("Q", [0])

    def append(self, text: str) -> None:
        """All of them before the first is read. Raises UserError for a full disk."""
        data = text.encode(errors="surrogatepass")
        try:
            self._file.write(data)
        except OSError as error:
            fix = "make room, or name another folder in TMPDIR"
            raise UserError(f"cannot be written: {error.strerror}", where=gettempdir(), fix=fix) from error
        self._starts.append(self._starts[-1] + len(data))

    def __getitem__(self, place: int) -> str:
        start, end = self._starts[place : place + 2]
        self._file.seek(start)
        return self._file.read(end - start).decode(errors="surrogatepass")
