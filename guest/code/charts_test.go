package code

import (
	"encoding/json"
	"strings"
	"testing"
)

const figures = "import matplotlib.pyplot as plt\n"

// charts are those of all that was shown, as JSON.
func charts(t *testing.T, code string) []string {
	_, server := machine(t)
	out := python(t, server, figures+code)
	if out.failure != nil {
		t.Fatalf("%+v", out.failure)
	}
	var found []string
	for _, one := range out.results {
		if one.PNG == "" {
			t.Errorf("no picture: %+v", one)
		}
		text, err := json.Marshal(one.Chart)
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, string(text))
	}
	return found
}

func TestAFigureCarriesItsDataAsAChart(t *testing.T) {
	found := charts(t, `
import datetime
figure, axes = plt.subplots(4, 2)
figure.suptitle("All")
a = axes.flat
a[0].plot([1, 2.5], [3, float("nan")], label="rise"); a[0].plot([1, 2], [5, 6]); a[0].set(title="L", xlabel="Time (s)"); a[0].axhline(3)
a[1].scatter([1, 2], [3, 4], label="dots"); a[1].set_xscale("log")
a[2].bar(["a", "b"], [5, 6.5], label="one"); a[2].bar(["a", "b"], [1, 2], bottom=[5, 6.5], label="two")
a[3].barh(["a", "b"], [5, 6])
a[4].pie([1, 3], labels=["x", "y"])
a[5].boxplot([[1, 2, 3, 4, 100], [5, 5, 5]], patch_artist=True); a[5].set_xticks([1, 2], ["p", "q"])
a[6].plot([datetime.datetime(2020, 1, 1), datetime.datetime(2020, 1, 2)], [1, 2])
a[7].imshow([[1, 2], [3, 4]])
plt.show()`)
	if len(found) != 1 {
		t.Fatalf("%v", found)
	}
	for _, want := range []string{
		`"type":"superchart"`, `"title":"All"`,
		`{"label":"rise","points":[[1,3]]},{"label":"","points":[[1,5],[2,6]]}`,
		`"x_label":"Time (s)"`, `"x_unit":"s"`, `"y_label":null`,
		`{"label":"dots","points":[[1,3],[2,4]]}`, `"x_scale":"log"`,
		`{"group":"one","label":"a","value":"5"},{"group":"one","label":"b","value":"6.5"},{"group":"two","label":"a","value":"1"}`,
		`{"group":"","label":"a","value":"5"},{"group":"","label":"b","value":"6"}`,
		`{"angle":90,"label":"x","radius":1},{"angle":270,"label":"y","radius":1}`,
		`{"first_quartile":2,"label":"p","max":4,"median":3,"min":1,"outliers":[100],"third_quartile":4}`,
		`[["2020-01-01T00:00:00",1],["2020-01-02T00:00:00",2]]`, `"x_scale":"datetime"`,
		`"type":"unknown"`,
	} {
		if !strings.Contains(found[0], want) {
			t.Errorf("%s is not in %s", want, found[0])
		}
	}
}

func TestAFigureAsAValueHasAChartAndCategoriesAreNames(t *testing.T) {
	found := charts(t, `
figure, axes = plt.subplots()
axes.plot(["mon", "tue"], [1, 2])
figure`)
	if len(found) != 1 || !strings.Contains(found[0], `"points":[["mon",1],["tue",2]]`) || !strings.Contains(found[0], `"x_scale":"categorical"`) {
		t.Errorf("%v", found)
	}
}

func TestAFigureThatIsTooLargeOrOfBrokenArtistsIsAPictureAlone(t *testing.T) {
	found := charts(t, `
plt.plot(range(60000)); plt.show()
from matplotlib.lines import Line2D
class Broken(Line2D):
    def get_label(self): raise RuntimeError("no")
axes = plt.gca(); line = Broken([0, 1], [0, 1]); axes.add_artist(line); axes._children.append(line)
plt.show()
plt.boxplot([1, 2, 3]); plt.cla(); plt.plot([1, 2]); plt.show()`)
	if len(found) != 3 || found[0] != "null" || found[1] != "null" || !strings.Contains(found[2], `"type":"line"`) {
		t.Errorf("%v", found)
	}
}

func TestAPictureOfPillowIsShownAsAValueAndByDisplay(t *testing.T) {
	_, server := machine(t)
	out := python(t, server, `
from PIL import Image
image = Image.new("RGB", (2, 2))
display(image)
image`)
	if len(out.results) != 2 || !strings.HasPrefix(out.results[0].PNG, "iVBOR") || !strings.HasPrefix(out.results[1].PNG, "iVBOR") {
		t.Errorf("%+v", out)
	}
}
