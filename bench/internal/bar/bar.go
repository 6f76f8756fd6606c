// Package bar shows the progress of a benchmark: a bar on a terminal, and permanent lines everywhere. It imports the
// standard library only.
package bar

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"time"
)

// redraw is how often the bar is drawn at most.
const redraw = 200 * time.Millisecond

// Width is how many characters the bar has.
const Width = 30

// Bar counts pieces of work. It may be used by any number of goroutines.
type Bar struct {
	out      *os.File
	terminal bool
	began    time.Time

	mu       sync.Mutex
	pieces   int
	total    int
	label    string
	drawn    time.Time
	onScreen bool
}

// New returns the bar of so many pieces. Nothing but lines is written to what is no terminal.
func New(out *os.File, total int) *Bar {
	info, err := out.Stat()
	return &Bar{out: out, terminal: err == nil && info.Mode()&os.ModeCharDevice != 0, began: time.Now(), total: total}
}

// Step counts pieces of work.
func (b *Bar) Step(pieces int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.pieces += pieces
	if b.terminal && time.Since(b.drawn) >= redraw {
		b.drawn, b.onScreen = time.Now(), true
		fmt.Fprintf(b.out, "\r\x1b[K%s", Text(b.pieces, b.total, time.Since(b.began), b.label))
	}
}

// Doing names the next step.
func (b *Bar) Doing(label string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.label = label
}

// Line prints a line that stays.
func (b *Bar) Line(format string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.wipe()
	fmt.Fprintf(b.out, format+"\n", args...)
}

// End takes the bar off the screen.
func (b *Bar) End() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.wipe()
}

func (b *Bar) wipe() {
	if b.onScreen {
		fmt.Fprint(b.out, "\r\x1b[K")
		b.onScreen = false
	}
}

// Text is the bar as text.
func Text(pieces, total int, took time.Duration, label string) string {
	share := min(float64(pieces)/float64(max(total, 1)), 1)
	full := int(share * Width)
	left := "?"
	if share > 0.02 {
		left = time.Duration(float64(took) * (1 - share) / share).Round(time.Second).String()
	}
	return fmt.Sprintf("%s%s %3.0f %%, %s left, %s", strings.Repeat("█", full), strings.Repeat("░", Width-full), share*100, left, label)
}
