"""The search works from the disk: the site carries the helper that it would fetch elsewhere."""

from typing import Any

from mkdocs.utils import get_relative_url

REMOTE = "https://unpkg.com/iframe-worker/shim"
OWN = "assets/iframe-worker.js"


def on_post_page(output: str, page: Any, **_: Any) -> str:
    """Point every page to the site's own copy."""
    return output.replace(REMOTE, get_relative_url(OWN, page.url))


def on_post_template(output_content: str, **_: Any) -> str:
    """The same for pages that belong to no Markdown, such as the one for a wrong address."""
    return output_content.replace(REMOTE, OWN)
