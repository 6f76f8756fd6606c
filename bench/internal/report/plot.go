package report

import (
	"fmt"
	"image/color"
	"slices"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// Colours of what is measured, and of what it is compared with.
var (
	Own   = color.RGBA{R: 0x2f, G: 0x81, B: 0xf7, A: 0xff}
	Grey  = color.RGBA{R: 0x8b, G: 0x94, B: 0x9e, A: 0xff}
	naive = color.RGBA{R: 0xbc, G: 0x8c, B: 0xff, A: 0xff}
)

const margin = 8

// Draw returns what is drawn on a canvas as an SVG.
func Draw(width, height vg.Length, paint func(draw.Canvas)) (string, error) {
	canvas := vgsvg.New(width, height)
	paint(draw.Crop(draw.New(canvas), margin, -margin, margin, -margin))
	var b strings.Builder
	_, err := canvas.WriteTo(&b)
	return b.String(), err
}

// NewPlot returns an empty plot with a title.
func NewPlot(title string, size font.Length) *plot.Plot {
	p := plot.New()
	p.Title.Text = title
	p.Title.TextStyle.Font.Size, p.Title.Padding = size, margin
	for _, style := range []*draw.TextStyle{
		&p.Title.TextStyle, &p.X.Label.TextStyle, &p.Y.Label.TextStyle, &p.X.Tick.Label, &p.Y.Tick.Label,
	} {
		style.Font.Variant = "Sans"
	}
	return p
}

const (
	barHeight = 14
	rowHeight = 22
)

// SVG draws the ratio of each scenario to the floor as a horizontal bar, with a whisker from the least to the most of the
// rounds. Scenarios that cannot be compared with the floor are left out.
func (r *Report) SVG() (string, error) {
	rows := slices.DeleteFunc(slices.Clone(r.Scenarios), func(s Scenario) bool { return s.ToFloor.Rounds == 0 })
	slices.Reverse(rows) // the first one comes on top
	p := NewPlot("Orders a second, empty workflows a second = 1", 15)
	hint := ""
	if r.Quick {
		hint = "; a quick run, whose numbers mean nothing"
	}
	p.X.Label.Text = fmt.Sprintf("median of %d rounds, whiskers from the least to the most%s\n%s\n%s\n%s", r.Rounds, hint,
		r.Machine, r.Servers["temporal"], r.Servers["mongodb"])
	p.X.Min, p.X.Max = 0, 1
	p.Add(plotter.NewGrid())
	whiskers := struct {
		plotter.XYs
		plotter.XErrors
	}{}
	values := plotter.XYLabels{}
	titles := make([]string, len(rows))
	for i, s := range rows {
		bar, err := plotter.NewBarChart(plotter.Values{s.ToFloor.Median}, barHeight)
		if err != nil {
			return "", err
		}
		bar.Horizontal, bar.XMin, bar.LineStyle.Width, bar.Color = true, float64(i), 0, Own
		switch {
		case s.Name == Floor:
			bar.Color = Grey
		case strings.HasPrefix(s.Name, Naive):
			bar.Color = naive
		}
		p.Add(bar)
		titles[i] = s.Title
		whiskers.XYs = append(whiskers.XYs, plotter.XY{X: s.ToFloor.Median, Y: float64(i)})
		whiskers.XErrors = append(whiskers.XErrors, struct{ Low, High float64 }{s.ToFloor.Median - s.ToFloor.Min, s.ToFloor.Max - s.ToFloor.Median})
		values.XYs = append(values.XYs, plotter.XY{X: s.ToFloor.Max, Y: float64(i)})
		values.Labels = append(values.Labels, fmt.Sprintf("%.2f (%.0f/s)", s.ToFloor.Median, s.PerSecond.Median))
	}
	if len(rows) > 0 {
		bars, err := plotter.NewXErrorBars(whiskers)
		if err != nil {
			return "", err
		}
		labels, err := plotter.NewLabels(values)
		if err != nil {
			return "", err
		}
		for i := range labels.TextStyle {
			labels.TextStyle[i].Font.Variant, labels.TextStyle[i].YAlign = "Sans", draw.YCenter
		}
		labels.Offset.X = margin
		p.Add(bars, labels)
		p.NominalY(titles...)
		p.X.Max *= 1.2 // room for the values
	}
	return Draw(760, vg.Length(120+len(rows)*rowHeight), p.Draw)
}
