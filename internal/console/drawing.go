package console

import (
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/ordersaga/ordersaga/workflows/saga"
)

// Measures of the drawing, in the units of its view box. Its width is that of a phone, so that its text is never scaled down.
const (
	drawingWidth = 356
	rowHeight    = 62
	boxHeight    = 46
	stepX        = 2
	stepWidth    = 214
	undoX        = 246
	undoWidth    = 108
	topMargin    = 6
	maxName      = 22
)

// drawing is a saga as a picture: its steps from top to bottom, and beside them the compensations, from bottom to top.
type drawing struct {
	Width, Height int
	Title         string
	Boxes         []box
	Arrows        []arrow
}

// box is a step, or the compensation of one.
type box struct {
	X, Y, Width, Height int
	// State is the state of the step, which its colour and its mark say.
	State, Mark string
	Name, Note  string
	// Undo reports that it is a compensation, Ghost that it is one that has not been needed, Pivot that it is the decision.
	Undo, Ghost, Pivot bool
	// MarkX, TextX, NameY and NoteY are where its texts are.
	MarkX, TextX, NameY, NoteY int
}

// arrow is a path of the drawing. Way is forward or back; Open is one that has not been gone.
type arrow struct {
	Path string
	Way  string
	Open bool
}

// draw makes the drawing of a saga out of its steps. Flow says which of them have a compensation.
func draw(flow saga.Info, s sagaResource, now time.Time) drawing {
	d := drawing{Width: drawingWidth, Height: topMargin + len(s.Steps)*rowHeight - (rowHeight - boxHeight) + 4}
	compensated := make(map[string]bool)
	for _, step := range flow.Steps {
		compensated[step.Name] = step.Compensated
	}
	back, ended := goesBack(s), isEnded(s.Status)
	turned := -1
	var undos []int
	var texts []string
	for i, step := range s.Steps {
		y := topMargin + i*rowHeight
		texts = append(texts, step.Name+" "+words(step.State))
		undo := undoState(s, i)
		d.Boxes = append(d.Boxes, stepBox(step, undo, y, now))
		if reached(step.State) && back {
			turned = i
		}
		if i > 0 {
			d.Arrows = append(d.Arrows, arrow{Path: line(stepX+26, y-(rowHeight-boxHeight), stepX+26, y), Way: "forward", Open: !reached(step.State)})
		}
		if undo != "" || compensated[step.Name] && !back && !ended && step.Kind == string(saga.Compensable) {
			d.Boxes = append(d.Boxes, undoBox(undo, y))
			undos = append(undos, i)
		}
	}
	d.Arrows = append(d.Arrows, d.backArrows(s, undos, turned, back)...)
	d.Title = "Steps: " + strings.Join(texts, ", ") + "."
	return d
}

// undoState is the state of the compensation of a step: pending, running, unknown or compensated; empty when there is none.
func undoState(s sagaResource, i int) string {
	step := s.Steps[i]
	switch a := s.Attention; {
	case a != nil && a.Undo && a.Step == step.Name:
		return "unknown"
	case step.State == "compensated":
		return "compensated"
	case step.State != "compensating":
		return ""
	}
	for _, later := range s.Steps[i+1:] {
		if later.State == "compensating" {
			return "pending" // the newest is compensated first
		}
	}
	return "running"
}

func stepBox(step sagaStep, undo string, y int, now time.Time) box {
	state := step.State
	if undo == "unknown" || state == "compensating" {
		state = "done" // what is not is its compensation
	}
	note := words(state)
	switch {
	case state == "running" || state == "unknown":
		if took := since(step.StartedAt, now); took != "" {
			note += " for " + took
		}
	case state == "done" && undo == "" && !step.StartedAt.IsZero() && !step.EndedAt.IsZero():
		note += " in " + since(step.StartedAt, step.EndedAt)
	case state == "compensated":
		note = "done, compensated"
	}
	if step.Attempts > 0 && undo == "" {
		note += ", " + attempts(step.Attempts)
	}
	return box{
		X: stepX, Y: y, Width: stepWidth, Height: boxHeight, State: state, Mark: mark(state), Name: shortened(step.Name), Note: note,
		Pivot: step.Kind == string(saga.Pivot), MarkX: stepX + 26, TextX: stepX + 48, NameY: y + 20, NoteY: y + 36,
	}
}

// undoNotes say how far a compensation is.
var undoNotes = map[string]string{"": "if it turns back", "pending": "to come", "running": "running", "unknown": "stuck", "compensated": "done"}

func undoBox(state string, y int) box {
	return box{
		X: undoX, Y: y + 4, Width: undoWidth, Height: boxHeight - 8, State: state, Name: "undo", Note: undoNotes[state],
		Undo: true, Ghost: state == "", TextX: undoX + 12, NameY: y + 20, NoteY: y + 34,
	}
}

// backArrows are the way back: from where the saga turned, to its newest compensation, and up to the oldest one.
func (d *drawing) backArrows(s sagaResource, undos []int, turned int, back bool) []arrow {
	var arrows []arrow
	column := undoX + undoWidth/2
	open := func(i int) bool { return undoState(s, i) != "compensated" }
	for n := len(undos) - 1; n > 0; n-- {
		from, to := topMargin+undos[n]*rowHeight+4, topMargin+undos[n-1]*rowHeight+boxHeight-4
		arrows = append(arrows, arrow{Path: line(column, from, column, to), Way: "back", Open: !back || open(undos[n])})
	}
	if len(undos) == 0 || turned < 0 {
		return arrows
	}
	last := undos[len(undos)-1]
	if turned == last {
		y := topMargin + turned*rowHeight + boxHeight/2
		return append(arrows, arrow{Path: line(stepX+stepWidth, y, undoX, y), Way: "back"})
	}
	y := topMargin + turned*rowHeight + boxHeight/2
	to := topMargin + last*rowHeight + boxHeight - 4
	return append(arrows, arrow{Path: "M" + point(stepX+stepWidth, y) + "H" + strconv.Itoa(column-8) + "Q" + point(column, y) + " " + point(column, y-8) + "V" + strconv.Itoa(to), Way: "back"})
}

func line(x1, y1, x2, y2 int) string { return "M" + point(x1, y1) + "L" + point(x2, y2) }

func point(x, y int) string { return strconv.Itoa(x) + " " + strconv.Itoa(y) }

// goesBack reports whether the saga is being compensated, or was.
func goesBack(s sagaResource) bool {
	for _, step := range s.Steps {
		if step.State == "compensated" || step.State == "compensating" || step.State == "refused" {
			return true
		}
	}
	return s.Status == "compensating"
}

func reached(state string) bool { return state != "pending" && state != "skipped" }

// isEnded reports whether nothing comes after a status: all flows have these.
func isEnded(status string) bool {
	return status == string(saga.Completed) || status == string(saga.Rejected) || status == string(saga.Cancelled) || status == string(saga.Failed)
}

// shortened cuts a name for its box.
func shortened(name string) string {
	if utf8.RuneCountInString(name) <= maxName {
		return name
	}
	return string([]rune(name)[:maxName-1]) + "…"
}
