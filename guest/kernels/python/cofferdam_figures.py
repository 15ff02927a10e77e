"""A matplotlib backend: figures are shown as PNG by `show()` and at the end of a cell, then closed."""

import io

from matplotlib._pylab_helpers import Gcf
from matplotlib.backend_bases import FigureManagerBase
from matplotlib.backends.backend_agg import FigureCanvasAgg

from cofferdam_bundle import chart_type
from cofferdam_charts import chart_of


def picture(figure):
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", bbox_inches="tight")
    return buffer.getvalue()


def shown(figure):
    """A figure's picture, where the user has shown it as a value: the end of the cell does not show it again."""
    if figure.canvas.manager is not None:
        Gcf.destroy(figure.canvas.manager)
    return picture(figure)


class FigureManager(FigureManagerBase):
    def show(self):
        show_figure(self.canvas.figure)


class FigureCanvas(FigureCanvasAgg):
    manager_class = FigureManager


def show_figure(figure):
    from IPython.core.display_functions import display

    bundle = {"text/plain": repr(figure), "image/png": picture(figure), chart_type: chart_of(figure)}
    display(bundle, raw=True)


def show(*_arguments, **_options):
    """Shows every open figure that has something on it, and closes them all."""
    try:
        for manager in Gcf.get_all_fig_managers():
            figure = manager.canvas.figure
            if figure.get_children()[1:]:
                show_figure(figure)
    finally:
        Gcf.destroy_all()
