"""What the network has learned: the output over the plane, a confusion matrix, predictions against targets, or pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from core.snapshot.snapshot import Confusion, Pictures, Plane, Predictions
from pages.charts.gallery import gallery
from pages.charts.images import png, points_png
from pages.charts.style import axis, bare_axis, colorscale, figure, layer_color, mixed, note, number, packed, plain, signed_color

if TYPE_CHECKING:
    from core.snapshot.snapshot import Influence, Snapshot
    from pages.charts.options import ViewOptions
    from pages.charts.style import Figure, Theme

HEIGHT = 372
FADE = 1.8  # the plane stays this much paler than the points on it
RING = (9, 30)  # pixels across, of samples that carry nothing and most of the gradient
DIMMED = 0.45  # opacity of an output that was
LEGIBLE_CLASSES = 16  # a larger confusion matrix shows its counts on hover alone


def output(snapshot: Snapshot, options: ViewOptions, theme: Theme) -> Figure:
    """The output panel of a snapshot, whichever kind it has."""
    if options.confusion and snapshot.confusion is not None:
        return _confusion(snapshot.confusion, options, theme)
    if snapshot.gallery is not None:
        return gallery(snapshot.gallery, theme, HEIGHT)
    shown = output_panel(snapshot.output, options, theme)
    if isinstance(snapshot.output, Plane) and snapshot.influence is not None:
        shown["data"].append(_rings(snapshot.influence, theme))
        shown["layout"]["legend"]["title"]["text"] += "   ◯ carries the gradient"
        shown["alt"] += f" {influence_text(snapshot.influence)}"
    if isinstance(snapshot.output, Plane) and options.marked is not None:
        shown["data"] += _mark(*options.marked, theme)
        shown["alt"] += " A sample is marked."
    return shown


def output_panel(shown: Plane | Confusion | Predictions | Pictures, options: ViewOptions, theme: Theme) -> Figure:
    """The panel of a Plane, Confusion, Predictions or Pictures."""
    return _KINDS[type(shown)](shown, options, theme)


def influence_text(influence: Influence) -> str:
    """One sentence on which samples carried the gradient."""
    carried = np.cumsum(influence.share)
    if not len(carried) or not carried[-1] > 0:
        return "No sample of the next mini-batch has a gradient."
    carriers = min(int(np.searchsorted(carried, 0.5)) + 1, len(carried))
    if influence.batch == 1:
        return "The next mini-batch is a single sample."
    if carriers >= influence.batch / 4:
        return f"The gradient is spread over all of the next mini-batch ({influence.batch:,} samples)."
    return f"{carriers:,} of the {influence.batch:,} samples in the next mini-batch carry {carried[carriers - 1]:.0%} of its gradient."


def _rings(influence, theme):
    """Rings around the samples of the mini-batch, as large as their share of the gradient."""
    top = float(influence.share.max()) or 1.0
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "gradient",
        "showlegend": False,
        "x": packed(influence.xy[:, 0]),
        "y": packed(influence.xy[:, 1]),
        "customdata": packed(100 * influence.share),
        "marker": {
            "symbol": "circle-open",
            "color": theme.ink,
            "size": packed(RING[0] + (RING[1] - RING[0]) * np.sqrt(influence.share / top)),
            "line": {"width": 2},
        },
        "hovertemplate": "carries %{customdata:.1f} % of the gradient<extra></extra>",
    }


def _mark(x, y, theme):
    """A ring and a cross around one sample, with a rim that sets them off whatever lies below."""
    place = {"type": "scatter", "mode": "markers", "x": [x], "y": [y], "showlegend": False, "hoverinfo": "skip"}
    rings = [("circle-open", 26, theme.surface, 6), ("circle-open", 26, theme.ink, 2.5), ("cross-thin", 44, theme.ink, 1.5)]
    return [
        {**place, "marker": {"symbol": symbol, "size": size, "color": color, "line": {"color": color, "width": width}}}
        for symbol, size, color, width in rings
    ]


def _plane(plane, options, theme):
    """The output as a heatmap, and on it the samples as one picture: it stands still, so a frame does not pay for it."""
    low, high = plane.extent
    step = (high - low) / (plane.values.shape[0] - 1)
    heat, target_color = _PLANES[plane.kind](plane, options, theme)
    heat["opacity"] = 1.0 if plane.last_finite is None else DIMMED
    smooth = "fast" if plane.kind != "classes" and not options.hard_edges else False
    surface = {"type": "heatmap", "zsmooth": smooth, "x0": low, "dx": step, "y0": low, "dy": step, **heat}
    parts = [("filled", plane.train)] + ([("outlined", plane.test)] if options.show_test and len(plane.test.xy) else [])
    samples = tuple((style, points.xy.tobytes(), tuple(map(target_color, points.target.tolist()))) for style, points in parts)
    place = {"xref": "x", "yref": "y", "x": low, "y": high, "sizex": high - low, "sizey": high - low, "sizing": "stretch"}
    bounds = {"range": [low, high], "zeroline": False, "showgrid": False, "nticks": 5, "constrain": "domain"}
    return figure(
        theme,
        "Output",
        [surface],
        _plane_alt(plane),
        height=HEIGHT,
        legend="● train   ○ test" if len(parts) > 1 else "● train",
        margin={"l": 44, "r": 12, "t": 10, "b": 40},
        axes={"xaxis": axis(theme, "x₁", **bounds), "yaxis": axis(theme, "x₂", scaleanchor="x", **bounds)},
        annotations=_missing(plane, theme),
        images=[{"source": points_png(samples, low, high, theme.surface), "layer": "above", **place}],
    )


def _missing(plane, theme):
    """What is to be said where there is no finite output."""
    if plane.last_finite is not None:
        return [note(theme, f"Not finite any more. Dimmed: step {plane.last_finite:,}", y=1, yanchor="top", bgcolor=theme.surface)]
    return [] if np.isfinite(plane.values).any() else [note(theme, "The output is not finite.")]


def _two_classes(plane, options, theme):
    """Heatmap of class 0 against class 1, and the colour of a target."""
    values = np.where(plane.values < 0, -1.0, 1.0) if options.hard_edges else plane.values
    values = np.where(np.isfinite(plane.values), values, np.nan)
    heat = {
        "z": packed(values),
        "zmin": -FADE,
        "zmax": FADE,
        "colorscale": colorscale(theme.signed),
        "showscale": False,
        "hovertemplate": "x₁ %{x:.2f}, x₂ %{y:.2f}<br>%{z:.2f} (−1 class 0, 1 class 1)<extra></extra>",
    }
    ends = class_colors(theme, 2)
    return heat, lambda target: ends[target > 0]


def class_colors(theme: Theme, classes: int) -> list[str]:
    """One colour a class: the two ends of the signed scale for two, otherwise the layers' ordered scale with its ends apart."""
    if classes == 2:
        return [signed_color(theme, -0.9), signed_color(theme, 0.9)]
    return [layer_color(theme, index + 1, classes) for index in range(classes)]


def _classes(plane, options, theme):
    """Every class has its own stretch of one colour scale, from the background (unsure) to its colour (sure)."""
    targets = [part.target.max() for part in (plane.train, plane.test) if len(part.target)]
    classes = int(max([plane.winner.max(), *targets])) + 1
    colors = class_colors(theme, classes)
    sure = np.ones_like(plane.values) if options.hard_edges else np.clip(plane.values, 0, 1)
    stops = []
    for index, color in enumerate(colors):
        stops += [[index / classes, mixed((theme.surface, color), 0.1)], [(index + 1) / classes, mixed((theme.surface, color), 1 / FADE)]]
    detail = np.stack([plane.winner, np.nan_to_num(np.clip(plane.values, 0, 1)) * 100], axis=-1)
    heat = {
        "z": packed(plane.winner + 0.998 * sure + 0.001),
        "zmin": 0,
        "zmax": classes,
        "colorscale": stops,
        "showscale": False,
        "customdata": packed(detail, "u1"),
        "hovertemplate": "x₁ %{x:.2f}, x₂ %{y:.2f}<br>class %{customdata[0]}, %{customdata[1]} %<extra></extra>",
    }
    return heat, lambda target: colors[int(target)]


def _surface(plane, options, theme):
    """Predicted value, on the scale of the targets' range; the samples show their own value on the same scale."""
    span = plane.high - plane.low or 1.0
    bar = {"thickness": 10, "outlinewidth": 0, "tickfont": {"size": 11}, "nticks": 5, "xpad": 4, "lenmode": "pixels", "len": 236}
    heat = {
        "z": packed(plane.values),
        "zmin": plane.low,
        "zmax": plane.high,
        "colorbar": bar,
        "colorscale": colorscale(theme.signed),
        "hovertemplate": "x₁ %{x:.2f}, x₂ %{y:.2f}<br>predicted %{z:.3f}<extra></extra>",
    }
    return heat, lambda target: mixed(theme.signed, round((target - plane.low) / span * 12) / 12)


_PLANES = {"two_classes": _two_classes, "classes": _classes, "surface": _surface}


def _plane_alt(plane):
    if plane.last_finite is not None:
        return f"The output is not finite any more; dimmed, what it was at step {plane.last_finite}."
    finite = np.isfinite(plane.values)
    if not finite.all():
        return "Output over the plane; it is not finite everywhere."
    if plane.kind == "two_classes":
        return f"Output over the plane: class 1 takes {np.mean(plane.values > 0):.0%} of it, class 0 the rest."
    if plane.kind == "classes":
        shares = np.bincount(plane.winner.ravel()) / plane.winner.size
        return "Output over the plane: " + ", ".join(f"class {index} {share:.0%}" for index, share in enumerate(shares)) + "."
    return f"Predicted value over the plane, from {plane.values.min():.3g} to {plane.values.max():.3g}."


def _confusion(confusion, options, theme):
    """Counts as text, shares of each true class as colour."""
    part = "test" if options.show_test and confusion.test.sum() else "train"
    counts = getattr(confusion, part)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    names = [plain(name) for name in confusion.classes]
    short = [plain(name, 12) for name in confusion.classes]
    heat = {
        "type": "heatmap",
        "x": names,
        "y": names,
        "z": packed(share),
        "zmin": 0,
        "zmax": 1,
        "colorscale": colorscale([theme.signed[2], theme.signed[3], theme.signed[4]]),
        "showscale": False,
        "xgap": 2,
        "ygap": 2,
        "text": counts.tolist(),
        "texttemplate": "%{text:,d}" if len(names) <= LEGIBLE_CLASSES else "",
        "textfont": {"size": 13 if len(names) <= 6 else 11},
        "hovertemplate": "true %{y}, predicted %{x}<br>%{text:,d} samples, %{z:.1%} of the class<extra></extra>",
    }
    right = np.trace(counts) / max(counts.sum(), 1)
    sides = {
        "showgrid": False, "fixedrange": True, "type": "category", "tickvals": names, "ticktext": short, "linecolor": "rgba(0,0,0,0)",
        "constrain": "domain",
    }  # fmt: skip
    return figure(
        theme,
        f"Confusion, {part} samples",
        [heat],
        f"Confusion matrix of the {part} samples: {right:.1%} of {counts.sum():,} are right.",
        height=HEIGHT,
        margin={"l": 84, "r": 12, "t": 10, "b": 44},
        axes={"xaxis": axis(theme, "predicted", **sides), "yaxis": axis(theme, "true", autorange="reversed", scaleanchor="x", **sides)},
        dragmode=False,
    )


def _predictions(predictions, options, theme):
    """Predicted against true; a perfect network has every point on the diagonal."""
    parts = [("train", predictions.train_true, predictions.train_predicted)]
    if options.show_test and len(predictions.test_true):
        parts.append(("test", predictions.test_true, predictions.test_predicted))
    values = np.concatenate([np.ravel(true) for _, true, _ in parts] + [np.ravel(found) for _, _, found in parts])
    values = values[np.isfinite(values)]
    low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 1.0)
    margin = 0.04 * (high - low or 1.0)
    ends = [low - margin, high + margin]
    diagonal = {"type": "scatter", "mode": "lines", "x": ends, "y": ends, "line": {"color": theme.faint, "width": 1, "dash": "dot"}}
    dots = [_dots(part, true, found, theme) for part, true, found in parts]
    sides = {"range": ends, "nticks": 6, "constrain": "domain"}
    true, found = parts[-1][1:]
    error = float(np.mean(np.abs(found - true))) if len(true) else 0.0
    return figure(
        theme,
        "Predicted against true",
        [diagonal | {"hoverinfo": "skip", "showlegend": False}, *dots],
        f"Predicted against true {predictions.name}: {parts[-1][0]} samples are off by {number(error)} on average.",
        height=HEIGHT,
        legend="",
        axes={
            "xaxis": axis(theme, f"true {plain(predictions.name)}", **sides),
            "yaxis": axis(theme, f"predicted {plain(predictions.name)}", scaleanchor="x", **sides),
        },
    )


def _dots(part, true, found, theme):
    color = signed_color(theme, 0.9)
    line = {"width": 0.8, "color": theme.surface} if part == "train" else {"width": 1.4}
    return {
        "type": "scatter",
        "mode": "markers",
        "name": part,
        "x": packed(true),
        "y": packed(found),
        "marker": {"size": 6, "symbol": "circle" if part == "train" else "circle-open", "color": color, "line": line},
        "hovertemplate": f"{part} sample<br>true %{{x:.4~g}}<br>predicted %{{y:.4~g}}<extra></extra>",
    }


def _pictures(pictures, options, theme):
    """Input, target and prediction side by side, one row a sample."""
    rows = len(pictures.rows)
    images, cell = [], 1 / max(rows, 1)
    for row, triple in enumerate(pictures.rows):
        for column, picture in enumerate(triple):
            place = {
                "x": column + 0.5,
                "y": (row + 0.5) * cell,
                "sizex": 0.94,
                "sizey": 0.94 * cell,
                "xanchor": "center",
                "yanchor": "middle",
            }
            images.append({"source": png(picture), "xref": "x", "yref": "y", "sizing": "contain", **place})
    names = [
        {"text": name, "x": index + 0.5, "y": 1, "xref": "x", "yref": "paper", "yanchor": "bottom", "showarrow": False}
        for index, name in enumerate(("input", "target", "prediction"))
    ]
    errors = [np.mean(np.abs(found.astype(float) - target)) / 255 for _, target, found in pictures.rows]
    error = f"predictions are off by {np.mean(errors):.1%} of the full range on average" if errors else "none yet"
    return figure(
        theme,
        f"Pictures, {pictures.part} samples",
        [],
        f"Input, target and prediction of {rows} {pictures.part} samples; {error}.",
        height=HEIGHT,
        margin={"l": 4, "r": 4, "t": 22, "b": 4},
        axes={"xaxis": bare_axis(range=[0, 3]), "yaxis": bare_axis(range=[1, 0])},
        images=images,
        annotations=names if rows else [note(theme, "No picture to show.")],
        meta="pixels",  # shown pixel by pixel, however much they are enlarged
        dragmode=False,
    )


_KINDS = {Plane: _plane, Confusion: _confusion, Predictions: _predictions, Pictures: _pictures}
