"""The page of conformance says what is true today."""

from conformance import PAGE, write_page


def test_the_page_is_what_the_fixtures_say() -> None:
    page = write_page()
    assert "DIFFERS" not in page
    assert "NOT REFUSED" not in page
    assert PAGE.read_text(encoding="utf-8") == page, "the page is behind: make conformance"
