package audit_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/test/audit"
)

func TestMessagesAndCustomers(t *testing.T) {
	intent := func(n int) fact {
		return fact{"intent/" + string(rune('0'+n)), "notice.intended", map[string]any{"attempt": n}}
	}
	outcome := func(n int, kind string) fact {
		return fact{"outcome/" + string(rune('0'+n)), kind, map[string]any{"attempt": n}}
	}
	requested, givenUp := fact{"request", "notice.requested", map[string]any{}}, fact{"end", "notice.given_up", map[string]any{}}
	registered := fact{"profile/e", "customer.registered", map[string]any{"customerId": "c-1", "sealed": "AAAA"}}
	for name, c := range map[string]struct {
		stream    string
		facts     []fact
		violation string
		open      bool
	}{
		"sent":                    {"notice-welcome-c-1", []fact{requested, intent(1), outcome(1, "notice.sent")}, "", false},
		"sent at last":            {"notice-welcome-c-1", []fact{requested, intent(1), outcome(1, "notice.not_accepted"), intent(2), outcome(2, "notice.sent")}, "", false},
		"given up":                {"notice-welcome-c-1", []fact{requested, intent(1), outcome(1, "notice.not_accepted"), givenUp}, "", false},
		"about to be sent":        {"notice-welcome-c-1", []fact{requested, intent(1)}, "", true},
		"sent without knowing":    {"notice-welcome-c-1", []fact{requested, intent(1), intent(2)}, "was to be sent again", true},
		"sent twice":              {"notice-welcome-c-1", []fact{requested, intent(1), outcome(1, "notice.sent"), intent(2)}, "goes on after its end", true},
		"sent by nobody":          {"notice-welcome-c-1", []fact{requested, outcome(1, "notice.sent")}, "belongs to no attempt", false},
		"given up and sent":       {"notice-welcome-c-1", []fact{requested, intent(1), givenUp}, "may have been sent", false},
		"never requested":         {"notice-welcome-c-1", []fact{intent(1)}, "begins with", true},
		"a customer":              {"customer-c-1", []fact{registered}, "", false},
		"a customer in the clear": {"customer-c-1", []fact{{"profile/e", "customer.registered", map[string]any{"customerId": "c-1", "email": "a@b.example"}}}, `holds the field "email"`, false},
		"another customer":        {"customer-c-2", []fact{registered}, "is about another customer", false},
		"a customer of nowhere":   {"customer-c-1", []fact{{"onboarded", "customer.onboarded", map[string]any{"customerId": "c-1"}}}, "is customer.onboarded", false},
	} {
		t.Run(name, func(t *testing.T) {
			d := documents(t, c.stream, c.facts...)
			for i := range d {
				d[i].Subject = "c-1"
			}
			report := audit.Examine(d)
			violations := strings.Join(report.Violations, "\n")
			if c.violation == "" {
				require.NotContains(t, violations, "message")
				require.NotContains(t, violations, "customer c-1")
			}
			require.Contains(t, violations, c.violation)
			require.Equal(t, c.open, len(report.Notices) > 0)
		})
	}
}
