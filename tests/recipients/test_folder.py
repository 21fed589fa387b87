from __future__ import annotations

import stat
from dataclasses import replace
from pathlib import Path

import fsspec  # type: ignore[import-untyped]
import pytest
from airflow.sdk.io import attach

from flexsms.core.broadcast import BroadcastBatch, BroadcastResult, BroadcastText, Outcome, digest_of
from flexsms.core.exceptions import PermanentError
from flexsms.recipients.folder import CHECK, RESULTS, WORK_LIST, BroadcastFolder, below, beside, results_of

TEXTS = [BroadcastText(row, "+14155550100", f"+1415555020{row}", f"hello\n{row} ö") for row in range(1, 6)]


def batch(folder: BroadcastFolder, first: int, last: int) -> BroadcastBatch:
    before, inside = (
        sum(len(text.to_line()) for text in part) for part in (TEXTS[:first], TEXTS[first:last])
    )
    lines = b"".join(text.to_line() for text in TEXTS[first:last])
    return BroadcastBatch(0, "", folder.url, before, before + inside, last - first, digest=digest_of(lines))


@pytest.fixture
def folder(tmp_path: Path) -> BroadcastFolder:
    folder = BroadcastFolder((tmp_path / "spring").as_uri())
    with folder.path(WORK_LIST).open("wb") as lines:
        lines.writelines(text.to_line() for text in TEXTS)
    return folder


def test_a_batch_reads_its_own_texts(folder: BroadcastFolder) -> None:
    assert list(folder.texts(batch(folder, 2, 4))) == TEXTS[2:4]
    assert list(folder.texts(batch(folder, 0, 5))) == TEXTS


def test_a_work_list_that_is_gone_or_another_one_is_named(folder: BroadcastFolder) -> None:
    ours = batch(folder, 2, 5)
    folder.path(WORK_LIST).write_bytes(b"".join(text.to_line() for text in TEXTS[:4]))
    with pytest.raises(PermanentError, match="not the one that was checked"):
        list(folder.texts(ours))
    same_size = [replace(text, body=text.body.upper()) for text in TEXTS]
    folder.path(WORK_LIST).write_bytes(b"".join(text.to_line() for text in same_size))
    with pytest.raises(PermanentError, match="not the one that was checked"):
        next(folder.texts(ours))
    folder.forget_texts()
    folder.forget_texts()
    with pytest.raises(PermanentError, match=r"is gone; run the campaign again"):
        list(folder.texts(ours))


def test_on_a_disk_nobody_else_reads_numbers_and_texts(tmp_path: Path) -> None:
    folder = BroadcastFolder((tmp_path / "list.spring" / "run").as_uri())
    with folder.write(WORK_LIST) as file:
        file.write(TEXTS[0].to_line())
    folder.write_results(f"{RESULTS}/00000.jsonl", [])
    for path, mode in {".": 0o700, RESULTS: 0o700, WORK_LIST: 0o600}.items():
        assert stat.S_IMODE((tmp_path / "list.spring" / "run" / path).stat().st_mode) == mode


def test_a_bucket_is_cleared_of_what_an_earlier_try_left() -> None:
    attach("memory", fs=fsspec.filesystem("memory"))
    folder = BroadcastFolder("memory://broadcasts/spring")
    folder.clear()
    for name in (WORK_LIST, CHECK, results_of(BroadcastBatch(3, "", folder.url, 0, 0, 0))):
        with folder.path(name).open("wb") as file:
            file.write(b"old")
    folder.clear()
    assert not [name for name in (WORK_LIST, CHECK, f"{RESULTS}/00003.jsonl") if folder.path(name).exists()]


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("s3://aws@bucket/lists/spring.csv", "s3://aws@bucket/lists/spring.csv.May_1/dag/run/check"),
        ("/data/spring.list.csv.gz", "/data/spring.list.csv.gz.May_1/dag/run/check"),
    ],
)
def test_the_folder_is_beside_the_list(file: str, expected: str) -> None:
    assert beside(file, "May_1", ["dag", "run", "check"]) == expected


def test_no_two_runs_have_the_same_folder() -> None:
    names = [
        "manual__2026-01-01T00:00:00+00:00",
        "manual__2026-01-01T00:00:00-00:00",
        "a/../b",
        "..",
        "",
        "a b",
    ]
    folders = {below("s3://bucket/", "spring", ["dag", name, "check"]) for name in names}
    assert len(folders) == len(names)
    assert all(folder.startswith("s3://bucket/spring/dag/") for folder in folders)
    assert not [folder for folder in folders if ".." in folder or "//" in folder[5:]]


def test_two_lists_dags_tasks_or_mapped_checks_never_share_a_folder() -> None:
    checks = (["a", "run", "check"], ["b", "run", "check"], ["a", "run", "other"], ["a", "run", "check", "1"])
    folders = {
        beside(file, "May_1", check) for check in checks for file in ("/x/a.csv", "/x/a.jsonl", "/x/a.csv.gz")
    }
    assert len(folders) == 12


def test_results_replace_those_of_an_earlier_try(folder: BroadcastFolder) -> None:
    ours = batch(folder, 2, 4)
    first, second = (
        [BroadcastResult(row, "…0201", outcome) for row in (3, 4)]
        for outcome in (Outcome.FAILED, Outcome.SENT)
    )
    assert list(folder.results(results_of(ours))) == []
    folder.write_results(results_of(ours), first)
    folder.write_results(results_of(ours), second)
    assert list(folder.results(results_of(ours))) == second
