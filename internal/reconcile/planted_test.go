package reconcile_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/reconcile"
	"github.com/ordersaga/ordersaga/test/audit"
)

// TestEveryKindIsFound plants a violation, and requires that both reconcile and the independent audit of the raw
// documents to name it; where only one of the two can see it, the table says why.
func TestEveryKindIsFound(t *testing.T) {
	planted := map[reconcile.Kind]bool{}
	for _, p := range plants {
		planted[p.kind] = true
		t.Run(string(p.kind)+"/"+strings.ReplaceAll(p.name, " ", "_"), func(t *testing.T) {
			w := newWorld(t)
			p.plant(w)
			requireFindings(t, w, p)
		})
	}
	for _, k := range reconcile.Kinds {
		require.True(t, planted[k.Kind], "%s is never planted", k.Kind)
	}
}

// requireFindings compares the findings with those of the planted damage.
func requireFindings(t *testing.T, w *world, p plant) {
	t.Helper()
	report := w.check(reconcile.Options{})
	found := false
	for _, f := range report.Findings {
		require.Contains(t, append(p.also, p.kind), f.Kind, "%s: %s", f.Subject, f.Detail)
		require.NotEmpty(t, f.Detail)
		require.Equal(t, string(reconcile.MeaningOf(f.Kind).Repair), f.Repair, "without --repair, what would be done")
		require.Equal(t, reconcile.MeaningOf(f.Kind).Note, f.Note)
		found = found || f.Kind == p.kind && f.Subject == p.subject
	}
	require.True(t, found, "%s of %s is not found: %v", p.kind, p.subject, report.Findings)

	checked := audit.Examine(w.documents(t))
	checked.CompareList(w.entries())
	switch {
	case p.audit == "":
		require.NotEmpty(t, p.why)
	case reconcile.MeaningOf(p.kind).Note:
		require.Empty(t, checked.Violations)
		require.Contains(t, strings.Join(checked.Exceptions, "; "), p.audit)
	default:
		require.Contains(t, strings.Join(checked.Violations, "; "), p.audit)
	}
}
