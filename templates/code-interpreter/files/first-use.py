"""Done once while the template is built, so that nobody's first import does it: matplotlib lists the fonts."""

import IPython
import matplotlib.pyplot
import pandas
import PIL.Image
import plotly.express
import scipy.stats
import sklearn.linear_model

matplotlib.pyplot.figure().canvas.draw()
for package in (IPython, matplotlib, pandas, PIL, plotly, scipy, sklearn):
    print(package.__name__, package.__version__)
