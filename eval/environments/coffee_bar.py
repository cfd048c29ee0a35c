"""The ordering API of the Taskmaster-4 coffee orders (data/samples/taskmaster_coffee), rebuilt from what a row shows.

The source has the API's requests and responses, not the API. Menu, options and ids of a row's bar are those that its
recorded results name; orders are kept here, so a call that the worker did not make is answered too. Options that the
customer may ask for are free text there (`oat Milk`), so the state compares them without regard to case and space.
"""

from collections.abc import Iterator
from itertools import chain, count
from typing import Any

from data.mock_tools.service import error
from data.row import JsonObject, Row
from data.rules.arguments import argument_faults
from eval.environments.recorded_calls import recorded_calls
from eval.json_values import canonical_text

_CHOICES = ("attributes", "addons")


class CoffeeBar:
    def __init__(self, row: Row) -> None:
        self.tools = [tool.model_dump(exclude_none=True) for tool in row.tools or []]
        self._schemas = {tool["function"]["name"]: tool["function"].get("parameters") or {} for tool in self.tools}
        self._recorded = recorded_calls(row)
        self._names = {
            item["menu_item_id"]: str(item.get("name", item["menu_item_id"]))
            for call in self._recorded
            for item in _listed(call.result, "menu_items")
            if "menu_item_id" in item
        }
        self.reset()

    def reset(self) -> None:
        self._orders: dict[str, JsonObject] = {}
        self._items: dict[str, JsonObject] = {}
        # The row's own ids first: its later calls name them.
        self._order_ids = self._new_ids("order_id", 90001)
        self._item_ids = self._new_ids("order_item_id", 80001)

    def call(self, name: str, arguments: JsonObject) -> JsonObject:
        if name not in self._schemas:
            return error("unknown_tool", f"no tool {name}; tools: {', '.join(self._schemas)}")
        if faults := argument_faults(name, canonical_text(self._schemas[name]), arguments):
            return error("invalid_arguments", f"{faults[0].key.lstrip('.') or 'arguments'}: {faults[0].reason}")
        for key, known in (("order_id", self._orders), ("order_item_id", self._items), ("menu_item_id", self._names)):
            if key in arguments and arguments[key] not in known:
                return error("not_found", f"no {key} {arguments[key]}")
        return self._run(name, arguments)

    def state(self) -> list[JsonObject]:
        """The orders without ids, in an order of their own: the same coffee is the same state."""
        shown = [
            {
                "attributes": _chosen(order["attributes"]),
                "items": sorted((_item_state(item) for item in order["items"]), key=canonical_text),
                "is_finished": order["is_finished"],
            }
            for order in self._orders.values()
        ]
        return sorted(shown, key=canonical_text)

    def _run(self, name: str, arguments: JsonObject) -> JsonObject:
        match name:
            case "get_menu_items":
                return {"menu_items": self._search(name, "menu_items", arguments) or self._items_like(arguments)}
            case "get_addons":
                return {key: found for key in _CHOICES if (found := self._search(name, key, arguments))}
            case "add_order_item":
                return self._add(arguments)
            case "update_order_item":
                self._choose(self._items[arguments["order_item_id"]], arguments)
                return {"order_item_id": arguments["order_item_id"]}
            case "update_order":
                self._choose(self._orders[arguments["order_id"]], arguments)
                return {"order_id": arguments["order_id"]}
            case "get_order_details":
                return self._details(arguments["order_id"])
            case "finish_order":
                self._orders[arguments["order_id"]]["is_finished"] = True
                return {"success": True}
            case _:  # show_menu
                return {"success": True}

    def _search(self, name: str, key: str, arguments: JsonObject) -> list[JsonObject]:
        """What the row's bar said to this query; to another one, every entry that shares a word with it."""
        seen = [call for call in self._recorded if call.name == name]
        same = [call for call in seen if _folded(call.arguments.get("query")) == _folded(arguments["query"])]
        words = set(_folded(arguments["query"]).split())
        found = {
            canonical_text(entry): entry
            for call in same or seen
            for entry in _listed(call.result, key)
            if same or words & set(_folded(canonical_text(entry)).replace('"', " ").split())
        }
        return list(found.values())

    def _items_like(self, arguments: JsonObject) -> list[JsonObject]:
        words = set(_folded(arguments["query"]).split())
        return [
            {"menu_item_id": item_id, "name": name}
            for item_id, name in self._names.items()
            if words & set(_folded(name).split())
        ]

    def _add(self, arguments: JsonObject) -> JsonObject:
        order_id = arguments.get("order_id") or next(self._order_ids)
        order = self._orders.setdefault(order_id, {"items": [], "attributes": {}, "is_finished": False})
        item: JsonObject = {"attributes": {}, "addons": {}}
        item |= {key: arguments[key] for key in ("menu_item_id", "quantity", "notes") if key in arguments}
        self._choose(item, arguments)
        item["order_item_id"] = item_id = next(self._item_ids)
        self._items[item_id] = item
        order["items"].append(item)
        return {"order_id": order_id, "order_item_id": item_id}

    def _choose(self, holder: JsonObject, arguments: JsonObject) -> None:
        """A later choice for the same attribute or add-on replaces the earlier one."""
        for key, id_key in zip(_CHOICES, ("attribute_id", "addon_id"), strict=True):
            for choice in arguments.get(key) or []:
                holder[key][choice[id_key]] = choice["option"]

    def _details(self, order_id: str) -> JsonObject:
        order = self._orders[order_id]
        return {
            "order_id": order_id,
            "attributes": _listing(order["attributes"], "attribute_id"),
            "menu_items": [self._shown(item) for item in order["items"]],
        }

    def _shown(self, item: JsonObject) -> JsonObject:
        shown = {key: value for key, value in item.items() if key not in (*_CHOICES, "quantity")}
        shown["menu_item_name"] = self._names[item["menu_item_id"]]
        for key, id_key in zip(_CHOICES, ("attribute_id", "addon_id"), strict=True):
            if item[key]:
                shown[key] = _listing(item[key], id_key)
        return shown

    def _new_ids(self, key: str, first: int) -> Iterator[str]:
        given = [call.result[key] for call in self._recorded if call.name == "add_order_item" and key in call.result]
        own = dict.fromkeys(map(str, given))
        return chain(own, (str(number) for number in count(first) if str(number) not in own))


def _listed(result: Any, key: str) -> list[JsonObject]:
    found = result.get(key) if isinstance(result, dict) else None
    return [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []


def _listing(choices: dict[str, str], id_key: str) -> list[JsonObject]:
    return [{id_key: choice_id, "option": option} for choice_id, option in choices.items()]


def _item_state(item: JsonObject) -> JsonObject:
    facts = {key: _folded(item[key]) for key in ("menu_item_id", "quantity", "notes") if key in item}
    return facts | {key: _chosen(item[key]) for key in _CHOICES}


def _chosen(choices: dict[str, str]) -> JsonObject:
    return {choice_id: _folded(option) for choice_id, option in choices.items()}


def _folded(text: Any) -> str:
    return " ".join(str(text).casefold().split())
