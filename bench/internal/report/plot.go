package report

import (
	"encoding/xml"
	"fmt"
	"math"
	"strings"
)

// The plot's measures, in pixels.
const (
	plotWidth  = 760
	labelWidth = 300
	valueWidth = 130
	rowHeight  = 26
	barHeight  = 14
	topMargin  = 56
	footMargin = 26
	lineHeight = 16
)

// Style makes a plot readable on light and dark pages: whoever shows it says which of the two it is.
const Style = `<style>
text{font:12px system-ui,-apple-system,"Segoe UI",sans-serif;fill:#1f2328}
.title{font-size:15px;font-weight:600}.small{font-size:11px;fill:#59636e}
.grid{stroke:#d1d9e0}.whisker{stroke:#1f2328;stroke-width:1.5}
.floor{fill:#8b949e}.naive{fill:#bc8cff}.own{fill:#2f81f7}
@media(prefers-color-scheme:dark){text{fill:#f0f6fc}.small{fill:#9198a1}.grid{stroke:#3d444d}.whisker{stroke:#f0f6fc}}
</style>
`

// SVG draws the ratio of each scenario to the floor as a horizontal bar, with a whisker from the least to the most of the
// rounds. Scenarios that cannot be compared with the floor are left out.
func (r *Report) SVG() string {
	var rows []Scenario
	top := 1.0
	for _, s := range r.Scenarios {
		if s.ToFloor.Rounds > 0 {
			rows = append(rows, s)
			top = max(top, s.ToFloor.Max)
		}
	}
	top = math.Ceil(top*5) / 5
	foot := []string{r.Machine, r.Servers["temporal"], r.Servers["mongodb"]}
	height := topMargin + len(rows)*rowHeight + footMargin + len(foot)*lineHeight
	scale := float64(plotWidth-labelWidth-valueWidth) / top
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img">`+"\n",
		plotWidth, height, plotWidth, height)
	fmt.Fprintf(&b, "<title>%s</title>\n%s", Escape("Orders a second as a share of empty workflows a second"), Style)
	hint := ""
	if r.Quick {
		hint = "; a quick run, whose numbers mean nothing"
	}
	b.WriteString(`<text class="title" x="12" y="22">Orders a second, empty workflows a second = 1</text>` + "\n")
	fmt.Fprintf(&b, `<text class="small" x="12" y="40">%s</text>`+"\n",
		Escape(fmt.Sprintf("median of %d rounds, whiskers from the least to the most%s", r.Rounds, hint)))
	grid(&b, top, scale, len(rows))
	for i, s := range rows {
		row(&b, s, scale, topMargin+i*rowHeight)
	}
	for i, line := range foot {
		fmt.Fprintf(&b, `<text class="small" x="12" y="%d">%s</text>`+"\n", height-8-(len(foot)-1-i)*lineHeight, Escape(line))
	}
	b.WriteString("</svg>\n")
	return b.String()
}

// grid draws a line at each fifth.
func grid(b *strings.Builder, top, scale float64, rows int) {
	bottom := topMargin + rows*rowHeight
	for n := 0; float64(n)/5 <= top+1e-9; n++ {
		at := float64(labelWidth) + float64(n)/5*scale
		fmt.Fprintf(b, `<line class="grid" x1="%.1f" y1="%d" x2="%.1f" y2="%d"/>`, at, topMargin-4, at, bottom)
		fmt.Fprintf(b, `<text class="small" x="%.1f" y="%d" text-anchor="middle">%.1f</text>`+"\n", at, bottom+13, float64(n)/5)
	}
}

// row draws one scenario.
func row(b *strings.Builder, s Scenario, scale float64, y int) {
	middle := y + rowHeight/2
	class := "own"
	switch {
	case s.Name == Floor:
		class = "floor"
	case strings.HasPrefix(s.Name, Naive):
		class = "naive"
	}
	ratio := s.ToFloor
	fmt.Fprintf(b, `<text x="%d" y="%d" text-anchor="end">%s</text>`, labelWidth-8, middle+4, Escape(s.Title))
	fmt.Fprintf(b, `<rect class="%s" x="%d" y="%d" width="%.1f" height="%d" rx="2"/>`, class, labelWidth, middle-barHeight/2, ratio.Median*scale, barHeight)
	if ratio.Max > ratio.Min {
		from, to := float64(labelWidth)+ratio.Min*scale, float64(labelWidth)+ratio.Max*scale
		fmt.Fprintf(b, `<path class="whisker" d="M%.1f %dH%.1fM%.1f %dv8M%.1f %dv8"/>`, from, middle, to, from, middle-4, to, middle-4)
	}
	fmt.Fprintf(b, `<text x="%d" y="%d">%.2f  (%.0f/s)</text>`+"\n", plotWidth-valueWidth+12, middle+4, ratio.Median, s.PerSecond.Median)
}

// Escape makes text fit for an SVG.
func Escape(text string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(text))
	return b.String()
}
