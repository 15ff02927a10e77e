"""The data of a matplotlib figure, in the shape that clients of E2B know as a chart."""

import math
import weakref

from matplotlib import category, dates
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.container import BarContainer
from matplotlib.patches import Wedge

max_axes = 64
max_points = 50_000
max_ticks = 1000
max_text = 1000
scales = frozenset(("linear", "datetime", "categorical", "log", "symlog", "logit", "function", "functionlog", "asinh"))


class TooLarge(Exception):
    pass


def chart_of(figure):
    """A chart, several in a `superchart`, or None for a figure without axes, or with more points than are told."""
    try:
        room = Room(max_points)
        axes = [each for each in figure.get_axes() if each.get_visible() and each.get_label() != "<colorbar>"]
        if not axes or len(axes) > max_axes:
            return None
        charts = [chart(each, room) for each in axes]
        if len(charts) == 1:
            return charts[0]
        title = getattr(figure, "_suptitle", None)
        return {"type": "superchart", "title": text(title.get_text() if title else ""), "elements": charts}
    except Exception:  # an artist of the user's own costs the chart, never the run
        return None


class Room:
    """How many points may still be told."""

    def __init__(self, points):
        self.points = points

    def take(self, count):
        self.points -= count
        if self.points < 0:
            raise TooLarge


def chart(axes, room):
    title = text(axes.get_title() or axes.get_title("left") or axes.get_title("right"))
    for kind, elements in (("pie", pie), ("box_and_whisker", boxes), ("bar", bars), ("scatter", dots), ("line", lines)):
        found = elements(axes, room)
        if found:
            form = {"type": kind, "title": title, "elements": found}
            if kind != "pie":
                form.update(labels(axes))
            if kind in ("scatter", "line"):
                form.update(ticks("x", axes.xaxis), **ticks("y", axes.yaxis))
            return form
    return {"type": "unknown", "title": title, "elements": []}


def pie(axes, room):
    wedges = [each for each in axes.patches if isinstance(each, Wedge)]
    room.take(len(wedges))
    return [{"label": label(each), "angle": number(each.theta2 - each.theta1), "radius": number(each.r)} for each in wedges]


def boxes(axes, room):
    kept = box_plots.get(axes, ())
    there = {id(each) for each in axes.lines} if kept else ()
    drawn = [each for each in kept if id(each[2]) in there]
    room.take(sum(1 + len(stats.get("fliers", ())) for stats, _, _ in drawn))
    if not drawn:
        return []
    ends = drawn[0][2].get_ydata()
    names = tick_names(axes.xaxis if ends[0] == ends[-1] else axes.yaxis)
    return [
        {
            "label": text(names.get(at) or stats.get("label") or ""),
            "min": number(stats["whislo"]),
            "first_quartile": number(stats["q1"]),
            "median": number(stats["med"]),
            "third_quartile": number(stats["q3"]),
            "max": number(stats["whishi"]),
            "outliers": [number(each) for each in stats.get("fliers", ()) if math.isfinite(each)],
        }
        for stats, at, _ in drawn
    ]


def bars(axes, room):
    found = []
    for container in axes.containers:
        if not isinstance(container, BarContainer):
            continue
        room.take(len(container.patches))
        lying = container.orientation == "horizontal"
        names = tick_names(axes.yaxis if lying else axes.xaxis)
        for patch in container.patches:
            start, size = (patch.get_y(), patch.get_height()) if lying else (patch.get_x(), patch.get_width())
            inside = [name for at, name in names.items() if start <= at <= start + size and name]
            value = patch.get_width() if lying else patch.get_height()
            name = inside[0] if len(inside) == 1 else shortest(start + size / 2)
            found.append({"label": text(name), "value": shortest(value), "group": label(container)})
    return found


def dots(axes, room):
    clouds = [each for each in axes.collections if isinstance(each, PathCollection) and len(each.get_offsets())]
    told = [series(axes, each, each.get_offsets(), room) for each in clouds]
    return told + lines(axes, room) if told else []


def lines(axes, room):
    drawn = [
        each
        for each in axes.lines
        if each.get_visible() and each.get_transform() == axes.transData and each.get_label() != "_nolegend_"
    ]
    return [series(axes, each, each.get_xydata(), room) for each in drawn]


def series(axes, artist, pairs, room):
    room.take(len(pairs))
    across, up = reader(axes.xaxis), reader(axes.yaxis)
    points = [[across(x), up(y)] for x, y in pairs.tolist() if x is not None and y is not None and math.isfinite(x + y)]
    return {"label": label(artist), "points": points}


def labels(axes):
    form = {}
    for name, full in (("x", axes.get_xlabel()), ("y", axes.get_ylabel())):
        _, opened, unit = full.rpartition("(")
        form[f"{name}_label"] = text(full) or None
        form[f"{name}_unit"] = text(unit[:-1]) or None if opened and unit.endswith(")") else None
    return form


def ticks(name, axis):
    read = reader(axis)
    places = [float(each) for each in axis.get_majorticklocs()[:max_ticks]]
    scale = scale_of(axis)
    return {
        f"{name}_ticks": [read(each) for each in places if math.isfinite(each)],
        f"{name}_tick_labels": [text(each.get_text()) for each in axis.get_majorticklabels()[:max_ticks]],
        f"{name}_scale": scale if scale in scales else "linear",
    }


def scale_of(axis):
    converter = axis.get_converter() if hasattr(axis, "get_converter") else axis.converter
    if isinstance(converter, category.StrCategoryConverter):
        return "categorical"
    if isinstance(converter, (dates.DateConverter, dates._SwitchableDateConverter)):
        return "datetime"
    return axis.get_scale()


def reader(axis):
    """Turns a place on an axis into what stands there."""
    scale = scale_of(axis)
    if scale == "datetime":
        return lambda place: dates.num2date(place).replace(tzinfo=None).isoformat()
    if scale == "categorical":
        names = {place: text(name) for name, place in axis.units._mapping.items()}
        return lambda place: names.get(place, number(place))
    return number


def tick_names(axis):
    places, names = axis.get_majorticklocs()[:max_ticks], axis.get_majorticklabels()[:max_ticks]
    return {float(place): name.get_text() for place, name in zip(places, names, strict=False)}


def label(artist):
    own = str(artist.get_label() or "")
    return "" if own.startswith("_") else text(own)


def number(value):
    value = float(value)
    return int(value) if value.is_integer() and abs(value) < 2**53 else value


def shortest(value):
    return f"{float(value):.12g}"


def text(value):
    return str(value)[:max_text]


# What a box plot stands for is not to be seen in its lines; the figures that it is drawn from are kept while it is there.
box_plots = weakref.WeakKeyDictionary()
draw_boxes = Axes.bxp


def bxp(self, bxpstats, positions=None, *arguments, **options):
    bxpstats = list(bxpstats)
    drawn = draw_boxes(self, bxpstats, positions, *arguments, **options)
    places = range(1, len(bxpstats) + 1) if positions is None else positions
    kept = box_plots.setdefault(self, [])
    kept.extend((dict(stats), float(at), median) for stats, at, median in zip(bxpstats, places, drawn["medians"], strict=False))
    return drawn


bxp.__doc__ = draw_boxes.__doc__
Axes.bxp = bxp
