"""Files and folders for their owner alone."""

import os
import stat

from worker.ops.private import close_to_others, private_files, write_private


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_what_is_made_in_the_block_is_private_and_what_is_made_after_it_is_as_before(tmp_path):
    """The mask of the process comes back."""
    before = os.umask(0o022)
    try:
        with private_files():
            (tmp_path / "within").write_text("")
            (tmp_path / "folder").mkdir()
        (tmp_path / "after").write_text("")
    finally:
        os.umask(before)
    assert [0o600, 0o700, 0o644] == [mode(tmp_path / name) for name in ("within", "folder", "after")]


def test_a_folder_is_closed_with_all_that_is_in_it(tmp_path):
    """What a link points at is left alone."""
    outside = tmp_path / "outside"
    outside.write_text("")
    outside.chmod(0o644)
    folder = tmp_path / "folder"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "file").write_text("")
    (folder / "link").symlink_to(outside)
    for path in (folder, folder / "deep", folder / "deep" / "file"):
        path.chmod(0o755)
    close_to_others(folder)
    assert [0o700, 0o700, 0o700, 0o644] == [
        mode(path) for path in (folder, folder / "deep", folder / "deep" / "file", outside)
    ]


def test_a_file_that_is_written_anew_is_private_and_whole(tmp_path):
    """A reader that has the old one open goes on reading it."""
    path = tmp_path / "below" / "secret"
    write_private(path, "first")
    path.chmod(0o644)
    with path.open() as old:
        write_private(path, "second")
        assert ("first", "second") == (old.read(), path.read_text())
    assert (0o600, [path]) == (mode(path), list(path.parent.iterdir()))
