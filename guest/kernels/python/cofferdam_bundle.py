"""Turns what IPython shows (values by MIME type) into the fields of a result on the wire."""

import base64
import math
import sys

from cofferdam_channel import encode, max_line_bytes

data_type = "cofferdam/data"
chart_type = "cofferdam/chart"
fields_by_type = {
    "text/plain": "text",
    "text/html": "html",
    "text/markdown": "markdown",
    "image/svg+xml": "svg",
    "image/png": "png",
    "image/jpeg": "jpeg",
    "application/pdf": "pdf",
    "text/latex": "latex",
    "application/json": "json",
    "application/javascript": "javascript",
    data_type: "data",
    chart_type: "chart",
}
plotly_type = "application/vnd.plotly.v1+json"
max_depth = 400
max_cells = 1_000_000


def fields_of(bundle):
    """The fields of a result. What cannot be written as JSON is left out; what is too large is cut or left out."""
    fields, extra = {}, {}
    for mime, value in bundle.items():
        if value is None:
            continue
        value = plain(value)
        name = fields_by_type.get(mime)
        if name == "text":
            value = unquoted(value)
        if not writable(value):
            continue
        if name is None:
            extra[str(mime)] = value
        else:
            fields[name] = value
    if plotly_type in extra and "html" not in fields:
        html = plotly_html(extra[plotly_type])
        if html is not None:
            fields["html"] = html
    if extra:
        fields["extra"] = extra
    return fitting(fields)


def unquoted(text):
    if isinstance(text, str) and len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        return text[1:-1]
    return text


def plain(value):
    if isinstance(value, (bytes, bytearray, memoryview)):
        return base64.b64encode(value).decode("ascii")
    return value


def writable(value):
    if isinstance(value, str):
        return True
    try:
        text = encode(value)
    except (TypeError, ValueError, RecursionError, OverflowError):
        return False
    return text.count("[") + text.count("{") <= max_depth or depth_of(text) <= max_depth


def depth_of(text):
    """How deep the arrays and objects of a JSON text are nested."""
    deepest = depth = 0
    inside = escaped = False
    for letter in text:
        if inside:
            if escaped:
                escaped = False
            elif letter == "\\":
                escaped = True
            elif letter == '"':
                inside = False
        elif letter == '"':
            inside = True
        elif letter in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif letter in "]}":
            depth -= 1
    return deepest


def fitting(fields):
    """Leaves out the largest forms until a line can carry the rest; text is cut, not left out."""
    sizes = {name: len(value) if isinstance(value, str) else len(encode(value)) for name, value in fields.items()}
    # A letter outside ASCII takes six bytes, or twelve.
    if 12 * sum(sizes.values()) <= max_line_bytes:
        return fields
    sizes = {name: len(encode(value)) for name, value in fields.items()}
    for name in sorted(sizes, key=sizes.get, reverse=True):
        if sum(sizes.values()) <= max_line_bytes:
            break
        if name == "text":
            fields["text"] = cut(fields["text"], max_line_bytes // 24)
            sizes["text"] = len(encode(fields["text"]))
        else:
            del fields[name], sizes[name]
    return fields


def cut(text, length):
    return text if len(text) <= length else f"{text[:length]}\n[cut: {len(text)} characters]"


def plotly_html(figure):
    try:
        from plotly.io import to_html

        return to_html(figure, include_plotlyjs="cdn", full_html=False, validate=False)
    except Exception:  # a broken plotly must not hide the figure's data
        return None


def json_form(value):
    """A list or dict as JSON can carry it, or None."""
    try:
        text = encode(value)
    except (TypeError, ValueError, RecursionError, OverflowError):
        return None
    return value if len(text) < max_line_bytes // 4 else None


def frame_data(value):
    """A pandas DataFrame column by column, or None for anything else."""
    pandas = sys.modules.get("pandas")
    frame = getattr(pandas, "DataFrame", None)
    if frame is None or not isinstance(value, frame) or value.size > max_cells:
        return None
    try:
        return {str(name): [cell(item) for item in value.iloc[:, at].tolist()] for at, name in enumerate(value.columns)}
    except Exception:  # an exotic column type costs the data form, never the run
        return None


def figure_chart(value):
    """The data of a matplotlib figure, or None for anything else."""
    figure = getattr(sys.modules.get("matplotlib.figure"), "Figure", None)
    if figure is None or not isinstance(value, figure):
        return None
    from cofferdam_charts import chart_of

    return chart_of(value)


def cell(item):
    kind = type(item)
    if kind is float:
        return item if math.isfinite(item) else None
    if kind in (str, int, bool) or item is None:
        return item
    isoformat = getattr(item, "isoformat", None)
    if isoformat is not None:
        text = isoformat()
        return None if text == "NaT" else text
    if type(item).__name__ == "NAType":
        return None
    number = getattr(item, "item", None)
    if number is not None:
        return cell(number())
    if isinstance(item, (list, dict)) and json_form(item) is not None:
        return item
    return str(item)
