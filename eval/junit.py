"""The verdict as JUnit XML, which every CI system shows: a test case a condition."""

from pathlib import Path
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from data.whole_file import write_whole
from eval.verdict import Verdict


def write_junit(path: Path, verdict: Verdict) -> None:
    """NEED MORE DATA is a failure too: nothing is deployed on it."""
    failed = [condition for condition in verdict.conditions if condition.outcome != "PASS"]
    counts = {"tests": str(len(verdict.conditions)), "failures": str(len(failed)), "errors": "0"}
    suites = Element("testsuites", counts)
    suite = SubElement(suites, "testsuite", {"name": f"eval.gate {verdict.model}", **counts})
    for condition in verdict.conditions:
        case = SubElement(suite, "testcase", {"classname": verdict.model, "name": condition.name})
        if condition.outcome == "PASS":
            SubElement(case, "system-out").text = condition.reason
        else:
            attributes = {"type": condition.outcome, "message": f"{condition.outcome}: {condition.reason}"}
            SubElement(case, "failure", attributes).text = condition.reason
    indent(suites)
    write_whole(path, tostring(suites, encoding="unicode", xml_declaration=False) + "\n", errors="replace")
