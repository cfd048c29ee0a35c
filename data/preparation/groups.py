"""Things that must stay together: a union-find over positions (Tarjan 1975, path halving)."""

from collections.abc import Hashable, Iterable


class Groups:
    def __init__(self, size: int) -> None:
        self._parents = list(range(size))

    def find(self, member: int) -> int:
        """The first member of its group."""
        while (parent := self._parents[member]) != member:
            self._parents[member] = member = self._parents[parent]
        return member

    def join(self, one: int, other: int) -> None:
        first, later = sorted((self.find(one), self.find(other)))
        self._parents[later] = first

    def join_equal(self, keys: Iterable[Iterable[Hashable]]) -> None:
        """Join members that have a key in common; `keys` holds those of each member in turn."""
        seen: dict[Hashable, int] = {}
        for member, own in enumerate(keys):
            for key in own:
                self.join(seen.setdefault(key, member), member)

    def members(self) -> list[list[int]]:
        """The groups, by their first member."""
        groups: dict[int, list[int]] = {}
        for member in range(len(self._parents)):
            groups.setdefault(self.find(member), []).append(member)
        return list(groups.values())
