package main

import (
	"fmt"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/ordersaga/ordersaga/bench/internal/report"
)

// The plot's measures.
const (
	columns     = 3
	panelWidth  = 290
	panelHeight = 130
)

// SVG draws a panel for each operation: the median at each size as a line and the 95th percentile as a dashed one, from 0.
func (r *Result) SVG() (string, error) {
	operations := r.Sizes[0].Operations
	tiles := draw.Tiles{Rows: (len(operations) + columns - 1) / columns, Cols: columns, PadX: 20, PadY: 12}
	panels := make([][]*plot.Plot, tiles.Rows)
	for row := range panels {
		panels[row] = make([]*plot.Plot, columns)
	}
	for i := range operations {
		panel, err := r.panel(i)
		if err != nil {
			return "", err
		}
		panels[i/columns][i%columns] = panel
	}
	whole := report.NewPlot("What operations cost while the log grows", 15)
	whole.X.Label.Text = "Milliseconds by events in the log, medians as lines, 95th percentiles dashed\n" + r.Server + "; " + r.Machine
	whole.HideAxes()
	height := vg.Length(tiles.Rows * panelHeight)
	return report.Draw(columns*panelWidth, height+80, func(c draw.Canvas) {
		whole.Draw(c)
		for row, canvases := range plot.Align(panels, tiles, draw.Crop(c, 0, 0, 40, -28)) {
			for column, canvas := range canvases {
				if panel := panels[row][column]; panel != nil {
					panel.Draw(canvas)
				}
			}
		}
	})
}

// panel draws one operation.
func (r *Result) panel(i int) (*plot.Plot, error) {
	p := report.NewPlot(r.Sizes[0].Operations[i].Name, 11)
	p.Y.Min = 0
	p.X.Scale = plot.LogScale{}
	var medians, upper plotter.XYs
	var ticks plot.ConstantTicks
	for _, s := range r.Sizes {
		x, latency := float64(s.Events), s.Operations[i].Latency
		medians = append(medians, plotter.XY{X: x, Y: millis(latency.P50)})
		upper = append(upper, plotter.XY{X: x, Y: millis(latency.P95)})
		ticks = append(ticks, plot.Tick{Value: x, Label: number(s.Events)})
	}
	p.X.Tick.Marker = ticks
	line, points, err := plotter.NewLinePoints(medians)
	if err != nil {
		return nil, fmt.Errorf("plot %s: %w", p.Title.Text, err)
	}
	dashed, err := plotter.NewLine(upper)
	if err != nil {
		return nil, fmt.Errorf("plot %s: %w", p.Title.Text, err)
	}
	line.Color, line.Width, points.Color, points.Shape = report.Own, 2, report.Own, draw.CircleGlyph{}
	dashed.Color, dashed.Dashes = report.Grey, []vg.Length{3, 3}
	p.Add(line, points, dashed)
	return p, nil
}
