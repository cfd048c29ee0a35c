"""Texts that stay on disk: each is read again whenever it is asked for."""

from data.temporary_database import TemporaryDatabase


class StoredTexts:
    """Texts in a file that is gone when the program ends, found by their place."""

    def __init__(self) -> None:
        self._database = TemporaryDatabase("CREATE TABLE texts(place INTEGER PRIMARY KEY, text BLOB)")
        self._num_texts = 0

    def append(self, text: str) -> int:
        """The place by which the text is found again. Raises UserError for a full disk."""
        data = text.encode(errors="surrogatepass")
        self._database.run("INSERT INTO texts VALUES (?, ?)", self._num_texts, data)
        self._num_texts += 1
        return self._num_texts - 1

    def __getitem__(self, place: int) -> str:
        ((data,),) = self._database.select("SELECT text FROM texts WHERE place = ?", place)
        return str(data, errors="surrogatepass")
