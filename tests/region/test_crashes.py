"""What a whole region loses when its processes are killed or stopped: nothing."""

from tests.region import Region, eventually


def test_killed_host_loses_no_document(region: Region) -> None:
    """Documents that were being indexed when the host was killed are all indexed after it has come back."""
    before = region.get("/api/status")["documents"]
    for n in range(30):
        (region.lake / f"note-{n}.md").write_text(f"# Note {n}\n\nThe shade of box {n} is shade-{n}.\n")
    eventually(lambda: region.get("/api/status")["documents"] > before, "indexing has begun")
    region.kill_host()

    def all_indexed() -> bool:
        try:
            return bool(region.get("/api/status")["documents"] == before + 30)
        except OSError:
            return False  # the host is being started again

    eventually(all_indexed, "every document is indexed", region.log)
    assert region.answers("What is the shade of box 29?", "shade-29")


def test_stop_leaves_no_process_and_a_restart_keeps_everything(region: Region) -> None:
    """Ctrl-C ends every process; the next start has the same index, without uploading or embedding anything."""
    before = region.get("/api/status")
    assert region.stop() == 0
    eventually(lambda: region.children() == [], "no process is left")
    region.start()
    after = region.get("/api/status")
    assert "0 documents uploaded" in region.log.read_text()
    for name in ("generation", "documents", "chunks"):
        assert after[name] == before[name]


def test_killed_supervisor_leaves_no_process(region: Region) -> None:
    """When the supervisor itself is killed, its services end by themselves."""
    region.kill()
    eventually(lambda: region.children() == [], "no process is left")
    region.start()
    assert region.get("/api/health")["status"] == "healthy"
