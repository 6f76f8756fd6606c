package audit

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/ordersaga/ordersaga/internal/eventlog"
	"github.com/ordersaga/ordersaga/internal/fault"
)

// Stream is the name of the stream with the checkpoints.
const Stream = "audit"

// Checkpoint is what is signed: the tree at a time.
type Checkpoint struct {
	// N is the number of the checkpoint, from 1 without gaps.
	N int64
	// Origin names the log. It is the name of the keys that sign it.
	Origin string
	// Tree is the size and root of the tree.
	tlog.Tree
	// Time is when the heads of the streams were read.
	Time time.Time
}

var checkpointText = regexp.MustCompile(`\A([^\n]+)\n([1-9][0-9]{0,17})\n([A-Za-z0-9+/]{43}=)\nordersaga checkpoint ([1-9][0-9]{0,17}) ([^\n ]+)\n\z`)

// Text is the text of the checkpoint's note: the form of C2SP tlog-checkpoint with one extension line, which has number and time.
func (c Checkpoint) Text() string {
	return fmt.Sprintf("%s\n%d\n%s\nordersaga checkpoint %d %s\n", c.Origin, c.Tree.N, c.Hash, c.N, eventlog.FormatTime(c.Time))
}

// ParseCheckpoint reads the text of a note; every text that Text does not return is Malformed.
func ParseCheckpoint(text string) (Checkpoint, error) {
	var c Checkpoint
	parts := checkpointText.FindStringSubmatch(text)
	if parts == nil {
		return c, fault.New(fault.Malformed, "%q is not a checkpoint", strings.TrimSpace(text))
	}
	c.Origin = parts[1]
	c.Tree.N, _ = strconv.ParseInt(parts[2], 10, 64) // 18 digits fit
	c.N, _ = strconv.ParseInt(parts[4], 10, 64)
	var err error
	if c.Hash, err = tlog.ParseHash(parts[3]); err == nil {
		c.Time, err = time.Parse(time.RFC3339, parts[5])
	}
	if err == nil && c.Text() != text {
		err = fault.New(fault.Malformed, "a number or the time is not in its canonical form")
	}
	return c, fault.Wrap(err, fault.Malformed, "read checkpoint")
}

// NoteCheckpoint reads the checkpoint of a signed note without verifying its signatures.
func NoteCheckpoint(signed string) (Checkpoint, error) {
	text, _, _ := strings.Cut(signed, "\n\n")
	return ParseCheckpoint(text + "\n")
}
