"""A page to pass on: the notebook, executed and exported as one HTML file that loads nothing."""

from __future__ import annotations

from pathlib import Path

import nbformat
from jinja2 import DictLoader
from nbconvert import HTMLExporter
from nbconvert.preprocessors import CellExecutionError, ExecutePreprocessor

from utils.errors import RecordError

PROJECT = Path(__file__).parents[2]
NOTEBOOK = PROJECT / "magnetoionic-figures.ipynb"
SHARP = '%config InlineBackend.figure_formats = ["retina"]'  # pictures of twice the pixels
# nbconvert's page without what it would load: require.js, MathJax and mermaid.
TEMPLATE = """\
{%- extends 'lab/index.html.j2' -%}
{%- block html_head_js -%}{%- endblock -%}
{%- block html_head_js_mathjax -%}{%- endblock -%}
{%- block html_head_js_mermaidjs -%}{%- endblock -%}
{%- block html_head_css -%}
<style>
main { max-width: 60rem; margin: auto; }
img { max-width: 100%; height: auto; }
.jp-OutputPrompt, .jp-InputPrompt { display: none; }
.jp-OutputArea-output { overflow-x: auto; }
.jp-OutputArea-output pre, .jp-RenderedText pre {
  white-space: pre-wrap; word-break: normal; overflow-wrap: anywhere;
  font-family: var(--jp-content-font-family); font-size: var(--jp-content-font-size1);
}
@media print {
  img, tr, pre { break-inside: avoid; }
  img { max-height: 24cm; }
  h2, h3 { break-after: avoid; }
  .jp-OutputArea-output { overflow: visible; }
  main .jp-RenderedHTMLCommon table { font-size: 5pt; }
  main .jp-RenderedHTMLCommon th, main .jp-RenderedHTMLCommon td { padding: 1pt 2pt; }
}
</style>
{%- endblock -%}
"""


def write_page(path: Path) -> None:
    """Execute the notebook and write it as HTML without its code.

    The environment variables of the notebook decide what it shows. Raises RecordError if a cell
    fails or the page cannot be written.
    """
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    notebook.cells.insert(0, nbformat.v4.new_code_cell(SHARP))
    try:
        executor = ExecutePreprocessor(timeout=None)
        executor.preprocess(notebook, {"metadata": {"path": str(Path.cwd())}})
        exporter = HTMLExporter(
            extra_loaders=[DictLoader({"page.html.j2": TEMPLATE})],
            template_file="page.html.j2",
            exclude_input=True,
            exclude_anchor_links=True,
        )
        text, _ = exporter.from_notebook_node(notebook, {"metadata": {"name": path.stem}})
        path.write_text(text, encoding="utf-8")
    except CellExecutionError as error:
        raise RecordError(f"{NOTEBOOK.name}: {error.ename}: {error.evalue}") from None
    except OSError as error:
        raise RecordError(f"{path}: cannot be written: {error.strerror}") from None
