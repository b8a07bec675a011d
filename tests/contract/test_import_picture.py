"""The picture of folders and imports in the docs is what the source says."""

from tools.import_picture import DOCUMENT, ROOT, folder_imports, picture, read_sources, with_picture


def test_picture_in_docs_is_what_the_source_says() -> None:
    """`make picture` would change nothing; folders do not import each other in a circle."""
    document = (ROOT / DOCUMENT).read_text(encoding="utf-8")
    assert with_picture(document, picture(folder_imports(read_sources(ROOT)))) == document, "run: make picture"
