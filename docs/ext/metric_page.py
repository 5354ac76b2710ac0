"""The page of the metrics, written from `losskit.metrics`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def page() -> str:
    """Return the MyST text of the page of the metrics."""
    from losskit import metrics

    every = [metrics.get(name) for name in metrics.names()]
    rows = "\n".join(
        f"| [`{m.name}`](#losskit.metrics.{m.name}) | {m.takes} | {m.better} | {_loss(m)} |"
        for m in every
    )
    return "\n\n".join(
        [
            "---\nhtml_theme.sidebar_secondary.remove: true\n---",
            "# Metrics",
            "What a model is judged by. A metric has no gradient and is no loss; the last column "
            "names the loss that is usually trained with where this metric is what counts. "
            "[The guide](../guide/metrics.md) shows how they are called.",
            f"{{.matrix}}\n| metric | takes | better | train with |\n|---|---|---|---|\n{rows}",
            "```{eval-rst}\n.. py:module:: losskit.metrics\n   :no-contents-entry:\n```",
            "\n\n".join(_entry(metric) for metric in every),
            "```{eval-rst}\n.. autofunction:: losskit.metrics.perplexity_of_tokens\n\n"
            ".. autofunction:: losskit.metrics.get\n\n"
            ".. autofunction:: losskit.metrics.names\n\n"
            ".. autoclass:: losskit.metrics.Metric()\n   :members: summary, params, surrogate\n"
            "   :special-members: __call__\n```",
        ]
    )


def _loss(metric: Any) -> str:
    import losskit

    name = metric.surrogate.partition("(")[0]
    page = losskit.get(name)
    return f"[{metric.surrogate}]({getattr(page, 'rows', None) or page.name}.md)"


def _entry(metric: Any) -> str:
    parameters = ", ".join(f"{name}={value!r}" for name, value in metric.params.items())
    head = f"```{{eval-rst}}\n.. py:function:: {metric.name}({parameters})\n"
    return head + "   :no-contents-entry:\n\n" + "\n".join(_indented(metric)) + "\n```"


def _indented(metric: Any) -> Iterator[str]:
    """Yield the docstring as reStructuredText, below the name."""
    from docstrings import as_rst

    lines = as_rst(metric.doc.splitlines())
    if metric.aliases:
        lines += ["", "Also called " + ", ".join(f"``{alias}``" for alias in metric.aliases) + "."]
    for line in lines:
        yield f"   {line}".rstrip()
