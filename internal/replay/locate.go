package replay

import (
	"cmp"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	commonpb "go.temporal.io/api/common/v1"
	historypb "go.temporal.io/api/history/v1"
)

// The SDK has no typed error for a replay that differs. These are the parts of its texts that say what differs.
var (
	commandText = regexp.MustCompile(`replay command (?:is|for) (\w+)`)
	eventText   = regexp.MustCompile(`(?:history event is|missing replay command for|but history event found) (\w+(?:\.\w+)*)`)
	typeText    = regexp.MustCompile(`(?:ActivityType|WorkflowType):\(Name:([^)]*)\)`)
	placeText   = regexp.MustCompile(`(?:history event position|for eventId) (\d+)`)
	localText   = regexp.MustCompile(`code executed local activity (\S+), but`)
)

// maxDetail is the maximum number of bytes of the SDK's text in a finding.
const maxDetail = 300

// locate adds the event at which a replay differs: one of the events after a completed workflow task, or the completion itself.
func (c *Checker) locate(f *Finding, completed *historypb.HistoryEvent, after []*historypb.HistoryEvent, err error) {
	text := err.Error()
	at := completed
	for _, e := range after {
		if c.mentioned(e, text) {
			at = e
			break
		}
	}
	f.Event, f.EventType = at.GetEventId(), at.GetEventType().String()
	f.Step = c.step(at)
	f.Detail = c.detail(text)
	if f.Step == "" {
		f.Step = c.lastStep(after)
	}
}

// mentioned reports whether the SDK's text is about an event.
func (c *Checker) mentioned(e *historypb.HistoryEvent, text string) bool {
	if place := placeText.FindStringSubmatch(text); place != nil {
		return place[1] == strconv.FormatInt(e.GetEventId(), 10)
	}
	found := eventText.FindStringSubmatch(text)
	if found == nil {
		return false
	}
	if marker := e.GetMarkerRecordedEventAttributes(); marker != nil && strings.Contains(text, "code executed local activity") {
		return c.localActivity(marker) == found[1]
	}
	if found[1] != e.GetEventType().String() {
		return false
	}
	switch {
	case e.GetActivityTaskScheduledEventAttributes() != nil:
		return strings.Contains(text, "ActivityId:"+e.GetActivityTaskScheduledEventAttributes().GetActivityId()+",")
	case e.GetTimerStartedEventAttributes() != nil:
		return strings.Contains(text, "TimerId:"+e.GetTimerStartedEventAttributes().GetTimerId()+",")
	}
	return true
}

// localActivityData is what the SDK stores in the marker of a local activity.
type localActivityData struct {
	ActivityType string
}

// localActivity is the activity type of the marker of a local activity; empty for other markers.
func (c *Checker) localActivity(marker *historypb.MarkerRecordedEventAttributes) string {
	var data localActivityData
	if c.converter.FromPayloads(marker.GetDetails()["data"], &data) != nil {
		return ""
	}
	return data.ActivityType
}

// step names what a run did at an event: the summary that the Temporal Web UI shows, otherwise the activity.
func (c *Checker) step(e *historypb.HistoryEvent) string {
	return cmp.Or(
		c.summary(e.GetUserMetadata().GetSummary()),
		e.GetActivityTaskScheduledEventAttributes().GetActivityType().GetName(),
		c.localActivity(e.GetMarkerRecordedEventAttributes()),
	)
}

// lastStep is the last step that a workflow task recorded: the replay differs after it.
func (c *Checker) lastStep(events []*historypb.HistoryEvent) string {
	for i := range events {
		if step := c.step(events[len(events)-1-i]); step != "" {
			return "after " + step
		}
	}
	return ""
}

func (c *Checker) summary(p *commonpb.Payload) (text string) {
	if p == nil || c.converter.FromPayload(p, &text) != nil {
		return ""
	}
	return text
}

// detail shortens the SDK's text, which contains inputs and results.
func (c *Checker) detail(text string) string {
	if local := localText.FindStringSubmatch(text); local != nil {
		return fmt.Sprintf("the history has local activity %s, this binary runs %s", eventText.FindStringSubmatch(text)[1], local[1])
	}
	event, command := eventText.FindStringSubmatchIndex(text), commandText.FindStringSubmatchIndex(text)
	switch {
	case event != nil && command != nil && event[0] < command[0]:
		return fmt.Sprintf("the history has %s, this binary does %s", named(text[event[2]:command[0]]), named(text[command[2]:]))
	case event != nil:
		return fmt.Sprintf("the history has %s, this binary does nothing there", named(text[event[2]:]))
	case command != nil:
		return fmt.Sprintf("this binary does %s, which the history does not have", named(text[command[2]:]))
	case len(text) > maxDetail:
		return strings.ToValidUTF8(text[:maxDetail], "") + "…"
	}
	return text
}

// named is an event or a command in the SDK's text, with the name of its activity or workflow.
func named(text string) string {
	kind, _, _ := strings.Cut(text, ":")
	if name := typeText.FindStringSubmatch(text); name != nil {
		return kind + " " + name[1]
	}
	return kind
}
