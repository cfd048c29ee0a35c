from data.near_duplicates import Pair, SketchedTexts, sketch


def near_pairs(groups: list[str], texts: list[str]) -> list[Pair]:
    """`groups[i]` belongs to `texts[i]`."""
    sketched = SketchedTexts()
    for group, text in zip(groups, texts, strict=True):
        sketched.append(sketch(group, text), text)
    return list(sketched.alike_pairs())
