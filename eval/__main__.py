"""`make eval`: measure how good the answers are, write a report, and say what moved since the baseline.

    python -m eval                       everything that there is data for
    python -m eval --only sample         one part of: northwind, sample, support, scifact
    python -m eval --lake DIR --questions FILE.jsonl     another lake with {"question", "truth"} a line
    python -m eval --update              the figures become the baseline
    python -m eval --fit                 print the weights of the marker check anew

The local models are used unless the environment names others (OPENAI_ENDPOINT and so on) or MODEL_FILE a GGUF file. A
model that can judge, judges its own answers.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.report import DATA, ROOT, note, table, write
from eval import answers, retrieval, scifact, support
from eval.compare import flat, moves
from eval.corpus import Question, indexed, load_questions, local_services
from eval.judge import STAND_IN, judge_of
from shared.clients import Services

HERE = Path(__file__).parent
BASELINE = HERE / "baseline.json"
PARTS = ("northwind", "sample", "support", "scifact")
PACKAGES = ("openai", "azure-search-documents", "onnxruntime", "tantivy")
# What must be reached with the local models; (part, figure) -> at least.
MARKS = {
    "northwind.retrieval.document_recall_at_5": 0.95,
    "northwind.answers.markers_supported": 0.95,
    "northwind.answers.markers_of_existing_versions": 1.0,
    "sample.retrieval.document_recall_at_5": 0.95,
    "sample.answers.markers_of_existing_versions": 1.0,
}


async def corpus(name: str, made: Services, questions: list[Question], fit: bool, want_support: bool) -> dict[str, Any]:
    """Return the figures of one lake."""
    recall = await retrieval.measure(made, questions)
    note(f"{name}: {len(recall.misses)} of {len(questions)} questions without their page")
    sums = await answers.measure(made, questions, judge_of(made))
    silent = answers.unanswerable(HERE / "unanswerable.jsonl", name)
    figures: dict[str, Any] = {
        "questions": len(questions),
        "retrieval": recall.figures(),
        "answers": sums.figures(),
    }
    if judge_of(made) is not None:
        figures["answers"]["judged_right"] = round(sums.judged_right / max(1, len(questions)), 4)
    if silent:
        figures["abstention"] = await answers.abstention(made, silent)
    details = {"misses": [_shown(miss) for miss in recall.misses], "wrong": sums.wrong}
    found = {name: figures, f"{name}_details": details}
    if want_support:
        pairs = await support.load_pairs(made, support.read_items(HERE / "support_pairs.jsonl"))
        found["support"] = {
            "fitting": support.judged([pair for pair in pairs if pair.fold == 0]),
            "held_out": support.judged([pair for pair in pairs if pair.fold == 1]),
            "all": support.judged(pairs),
        }
        if fit:
            print("weights of a fit to the first fold:", support.fit(pairs).round(2).tolist())
    return found


def _shown(miss: retrieval.Miss) -> dict[str, Any]:
    return {
        "question": miss.question,
        "wanted": [f"{path} page {page}" for path, page in miss.wanted],
        "found": [f"{path} page {page}" for path, page in miss.found],
        "document_found": miss.document_found,
    }


def sample_questions() -> list[Question]:
    """Return the sample lake's own questions; what must stand in the answer is the truth."""
    items = json.loads((ROOT / "sample-lake" / ".questions.json").read_text(encoding="utf-8"))
    return [Question(item["question"], item["answer_contains"], ((item["path"], 0),)) for item in items]


async def run(options: argparse.Namespace) -> dict[str, Any]:
    """Measure the parts that are asked for; return their figures."""
    found: dict[str, Any] = {}
    with local_services() as values:
        found["model"] = values["OPENAI_MODEL"]
        if options.lake:
            async with indexed("own", values, options.lake) as made:
                return found | await corpus("own", made, load_questions(options.questions), False, False)
        if "northwind" in options.only and (DATA / "northwind").is_dir():
            async with indexed("northwind", values, DATA / "northwind") as made:
                questions = load_questions(DATA / "northwind" / "ground_truth.jsonl")
                found |= await corpus("northwind", made, questions, False, False)
        if {"sample", "support"} & set(options.only):
            async with indexed("sample", values, ROOT / "sample-lake") as made:
                wanted = "support" in options.only or options.fit
                found |= await corpus("sample", made, sample_questions(), options.fit, wanted)
        if "scifact" in options.only and (DATA / "scifact").is_dir():
            found["scifact"] = await scifact.measure(values)
    return found


def show(found: Mapping[str, Any]) -> None:
    """Print every figure."""
    rows = [
        [name, round(value, 4)]
        for part in found
        if not part.endswith("_details")
        for name, value in flat(found[part], part)
    ]
    table(f"evaluation with {found['model']}", ["figure", "value"], rows)


def missed(found: Mapping[str, Any]) -> list[str]:
    """Return the marks that were measured and not reached."""
    flatly = {name: value for part in found for name, value in flat(found[part], part)}
    failed = [f"{name} {flatly[name]:g} < {mark:g}" for name, mark in MARKS.items() if flatly.get(name, 1.0) < mark]
    legs = found.get("scifact")
    if legs and legs["hybrid"] < max(legs["text"], legs["vectors"]):
        failed.append(f"scifact hybrid {legs['hybrid']} is below a leg of its own: {legs}")
    return failed


def compare(found: Mapping[str, Any]) -> None:
    """Print what moved since the baseline, which holds for the local stand-in only."""
    if found["model"] != STAND_IN or not BASELINE.exists():
        return
    before = json.loads(BASELINE.read_text(encoding="utf-8"))
    now = {part: value for part, value in found.items() if not part.endswith("_details") and part != "model"}
    changed = moves(before, now)
    if not changed:
        print("\nnothing moved since the baseline")
        return
    rows = [
        [move.name, _figure(move.before), _figure(move.now), "worse" if move.worse else "better"] for move in changed
    ]
    table("moved since the baseline", ["figure", "baseline", "now", ""], rows)


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def main() -> int:
    """Run; returns 1 when a mark was missed."""
    parser = argparse.ArgumentParser(prog="python -m eval", description="how good the answers are")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), help="parts to measure")
    parser.add_argument("--lake", type=Path, help="folder of documents to ask about instead")
    parser.add_argument("--questions", type=Path, help='JSONL of {"question", "truth"} for --lake')
    parser.add_argument("--update", action="store_true", help="make the figures the baseline")
    parser.add_argument("--fit", action="store_true", help="print the weights of the marker check, fitted anew")
    options = parser.parse_args()
    if bool(options.lake) != bool(options.questions):
        parser.error("--lake and --questions belong together")
    found = asyncio.run(run(options))
    show(found)
    compare(found)
    write("eval", found, PACKAGES)
    if options.update:
        before = json.loads(BASELINE.read_text(encoding="utf-8")) if BASELINE.exists() else {}
        kept = {part: value for part, value in found.items() if not part.endswith("_details") and part != "model"}
        BASELINE.write_text(json.dumps({**before, **kept}, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        print(f"written to {BASELINE.relative_to(ROOT)}")
    failed = missed(found)
    for fault in failed:
        print(f"MISSED {fault}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
