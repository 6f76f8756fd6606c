package main

import (
	"fmt"
	"math"
	"strings"

	"github.com/ordersaga/ordersaga/bench/internal/report"
)

// The plot's measures, in pixels.
const (
	columns     = 3
	panelWidth  = 290
	panelHeight = 120
	plotHeight  = 56
	sideMargin  = 14
	topMargin   = 60
	footMargin  = 24
)

// panelStyle is what the panels need besides the common style.
const panelStyle = `<style>
.line{fill:none;stroke:#2f81f7;stroke-width:2}.upper{fill:none;stroke:#8b949e;stroke-width:1;stroke-dasharray:3 3}.dot{fill:#2f81f7}
</style>
`

// SVG draws a panel for each operation: the median at each size as a line and the 95th percentile as a dashed one, from 0.
func (r *Result) SVG() string {
	operations := r.Sizes[0].Operations
	rows := (len(operations) + columns - 1) / columns
	width, height := columns*panelWidth+sideMargin, topMargin+rows*panelHeight+footMargin
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img">`+"\n", width, height, width, height)
	fmt.Fprintf(&b, "<title>%s</title>\n%s%s", "What operations cost while the log grows", report.Style, panelStyle)
	fmt.Fprintf(&b, `<text class="title" x="%d" y="22">What operations cost while the log grows</text>`+"\n", sideMargin)
	sizes := make([]string, len(r.Sizes))
	for i, s := range r.Sizes {
		sizes[i] = number(s.Events)
	}
	fmt.Fprintf(&b, `<text class="small" x="%d" y="40">Milliseconds at %s events, medians as lines, 95th percentiles dashed</text>`+"\n",
		sideMargin, strings.Join(sizes, ", "))
	for i := range operations {
		r.panel(&b, i, sideMargin+(i%columns)*panelWidth, topMargin+(i/columns)*panelHeight)
	}
	fmt.Fprintf(&b, `<text class="small" x="%d" y="%d">%s</text>`+"\n</svg>\n", sideMargin, height-8, report.Escape(r.Server+"; "+r.Machine))
	return b.String()
}

// panel draws one operation at a place.
func (r *Result) panel(b *strings.Builder, i, left, top int) {
	most := 0.0
	for _, s := range r.Sizes {
		most = max(most, millis(s.Operations[i].Latency.P95))
	}
	base, span := top+24+plotHeight, panelWidth-48
	x := func(n int) float64 {
		if len(r.Sizes) == 1 {
			return float64(left)
		}
		first, last := math.Log(float64(r.Sizes[0].Events)), math.Log(float64(r.Sizes[len(r.Sizes)-1].Events))
		return float64(left) + (math.Log(float64(r.Sizes[n].Events))-first)/(last-first)*float64(span)
	}
	y := func(ms float64) float64 { return float64(base) - ms/max(most, 1e-9)*plotHeight }
	fmt.Fprintf(b, `<text x="%d" y="%d">%s</text>`, left, top+12, report.Escape(r.Sizes[0].Operations[i].Name))
	fmt.Fprintf(b, `<line class="grid" x1="%d" y1="%d" x2="%d" y2="%d"/>`, left, base, left+span, base)
	var medians, upper, marks strings.Builder
	for n, s := range r.Sizes {
		l := s.Operations[i].Latency
		fmt.Fprintf(&medians, "%.1f,%.1f ", x(n), y(millis(l.P50)))
		fmt.Fprintf(&upper, "%.1f,%.1f ", x(n), y(millis(l.P95)))
		fmt.Fprintf(&marks, `<circle class="dot" cx="%.1f" cy="%.1f" r="3"/>`, x(n), y(millis(l.P50)))
		anchor := "middle"
		switch n {
		case 0:
			anchor = "start"
		case len(r.Sizes) - 1:
			anchor = "end"
		}
		fmt.Fprintf(&marks, `<text class="small" x="%.1f" y="%d" text-anchor="%s">%.2f</text>`, x(n), base+13, anchor, millis(l.P50))
	}
	fmt.Fprintf(b, `<polyline class="upper" points="%s"/><polyline class="line" points="%s"/>%s`+"\n",
		strings.TrimSpace(upper.String()), strings.TrimSpace(medians.String()), marks.String())
}
