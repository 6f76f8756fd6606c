package participantcheck_test

import (
	"context"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/ordersaga/ordersaga/internal/participantcheck"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fault is what is wrong with server.
type fault string

const (
	correct                    fault = ""
	checksNoSignature          fault = "the signature is not checked"
	checksNoTimestamp          fault = "the timestamp is not checked"
	comparesNoWebhookID        fault = "the webhook-id is not compared with the request"
	readsOneSignature          fault = "only the first signature counts"
	signsParsedJSON            fault = "the signature is that of JSON written again"
	answers404                 fault = "a look-up of an unknown key answers 404"
	looksUpAbsent              fault = "a look-up says absent"
	refusesUnknownFields       fault = "unknown fields are refused"
	ignoresCaseOfKeys          fault = "keys are compared without case"
	decodesIDs                 fault = "IDs are decoded once more"
	usesHalfABody              fault = "half a body has an effect"
	recordsNothingForAbandoned fault = "an abandoned request takes stock and records no key"
	takesNothing               fault = "a reservation takes nothing"
	reservesAgain              fault = "a duplicate has the effect twice"
	decidesAtOnce              fault = "concurrent duplicates have the effect several times"
	forgetsRefusals            fault = "refusals are not recorded"
	decidesRefusalsAgain       fault = "a refused reservation is decided again"
	changesRefusals            fault = "the reason of a refusal changes"
	reservesInPart             fault = "a refused reservation takes a part"
	ignoresUndoBeforeDo        fault = "undo before do is ignored"
	answers404ToUndo           fault = "undo before do answers 404"
	reservesAfterRelease       fault = "a late do after its undo succeeds"
	deletesReleased            fault = "the record is deleted by the undo"
	releasesAgain              fault = "a repeated release gives the stock back again"
	commitsWithoutReservation  fault = "a commit without a reservation succeeds"
	commitsAfterRelease        fault = "a commit after the release succeeds"
	releasesAfterCommit        fault = "an undo after commit or capture succeeds"
	capturesAfterVoid          fault = "a capture after the void succeeds"
	comparesNoContent          fault = "content is not compared"
	capturesAnyAmount          fault = "a capture of more than was authorized succeeds"
	failsAfterTheEffect        fault = "500 after the effect, for good"
	plainText                  fault = "answers are text/plain"
	answersWithoutPaymentID    fault = "done without a paymentId"
	ignoresRefundKeys          fault = "a refund happens twice for one key"
	comparesNoRefundAmount     fault = "a refund key is used for another amount"
	refundsTooMuch             fault = "more is refunded than was captured"
	ignoresReturnKeys          fault = "a return happens twice for one key"
	returnsTooMuch             fault = "more returns than was committed"
)

// config has the test's data.
func config(service participantcheck.Service, url string) participantcheck.Config {
	return participantcheck.Config{
		Service: service, URL: url, Secret: "whsec_" + base64.StdEncoding.EncodeToString(secret), Timeout: time.Minute,
		SKU: "tea", UnknownSKU: "no-such-sku",
		Method: "tok_visa", RefusedMethod: "tok_declined", PendingMethod: "tok_pending", CaptureRefusedMethod: "tok_capture_refused", Currency: "EUR",
	}
}

// failed returns the names of the rules that failed.
func failed(t *testing.T, report participantcheck.Report) []string {
	t.Helper()
	var names []string
	for _, r := range report.Results {
		assert.NotEmpty(t, r.Contract)
		if r.Status == participantcheck.Failed {
			names = append(names, r.Rule)
			t.Logf("%s: %+v", r.Rule, r.Failure)
			assert.NotEmpty(t, r.Fix)
			require.NotNil(t, r.Failure)
			assert.NotEmpty(t, r.Failure.Step)
			assert.NotEmpty(t, r.Failure.Expected)
			assert.NotEmpty(t, r.Failure.Exchanges)
		}
	}
	assert.Equal(t, len(names) == 0, report.Passed)
	return names
}

func TestCorrectServicePasses(t *testing.T) {
	url := newServer(t, correct)
	for _, service := range []participantcheck.Service{participantcheck.Inventory, participantcheck.Payment} {
		report, err := participantcheck.Check(t.Context(), config(service, url))
		require.NoError(t, err)
		require.Empty(t, failed(t, report), "%+v", report)
		require.Greater(t, len(report.Results), 20)
		for _, r := range report.Results {
			assert.Equal(t, participantcheck.Passed, r.Status, "%s: %s", r.Rule, r.Note)
			assert.Empty(t, r.Note, r.Rule)
		}
	}
}

// TestFaultsAreFound: the first rule that fails names the fault.
func TestFaultsAreFound(t *testing.T) {
	const inventory, payment = participantcheck.Inventory, participantcheck.Payment
	for _, c := range []struct {
		service participantcheck.Service
		fault   fault
		rule    string
	}{
		{inventory, checksNoSignature, "signature"},
		{inventory, checksNoTimestamp, "signature-time"},
		{inventory, comparesNoWebhookID, "signature-id"},
		{inventory, readsOneSignature, "signature-list"},
		{inventory, answers404, "look-up"},
		{inventory, looksUpAbsent, "look-up"},
		{inventory, refusesUnknownFields, "unknown-fields"},
		{inventory, ignoresCaseOfKeys, "keys"},
		{inventory, decodesIDs, "ids"},
		{inventory, usesHalfABody, "incomplete"},
		{inventory, recordsNothingForAbandoned, "abandoned"},
		{inventory, takesNothing, "reserve"},
		{inventory, reservesAgain, "duplicate"},
		{inventory, releasesAgain, "duplicate"},
		{inventory, decidesAtOnce, "concurrent-duplicates"},
		{inventory, forgetsRefusals, "refusal"},
		{inventory, decidesRefusalsAgain, "refusal"},
		{inventory, reservesInPart, "all-or-nothing"},
		{inventory, ignoresUndoBeforeDo, "undo-before-do"},
		{inventory, answers404ToUndo, "undo-before-do"},
		{inventory, reservesAfterRelease, "late-do"},
		{inventory, deletesReleased, "late-do"},
		{inventory, releasesAfterCommit, "commit"},
		{inventory, commitsWithoutReservation, "commit-after-release"},
		{inventory, commitsAfterRelease, "commit-after-release"},
		{inventory, comparesNoContent, "conflict"},
		{inventory, failsAfterTheEffect, "test-data"},
		{inventory, plainText, "traits"},

		{payment, checksNoSignature, "signature"},
		{payment, answersWithoutPaymentID, "test-data"},
		{payment, reservesAgain, "duplicate"},
		{payment, decidesAtOnce, "concurrent-duplicates"},
		{payment, forgetsRefusals, "refusal"},
		{payment, changesRefusals, "refusal"},
		{payment, ignoresUndoBeforeDo, "undo-before-do"},
		{payment, reservesAfterRelease, "late-do"},
		{payment, releasesAfterCommit, "capture"},
		{payment, capturesAfterVoid, "capture-after-void"},
		{payment, comparesNoContent, "conflict"},
		{payment, capturesAnyAmount, "conflict"},
		{payment, ignoresRefundKeys, "refund"},
		{inventory, ignoresReturnKeys, "return"},
		{inventory, returnsTooMuch, "return"},
		{payment, comparesNoRefundAmount, "refund"},
		{payment, refundsTooMuch, "refund"},
	} {
		t.Run(string(c.service)+": "+string(c.fault), func(t *testing.T) {
			t.Parallel()
			url, server := startServer(t, c.fault)
			cfg := config(c.service, url)
			cfg.SetAtOnce(server.expect)
			if c.fault == recordsNothingForAbandoned {
				cfg.Rules = []string{c.rule} // it waits for every other reservation
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			cfg.Progress = func(r participantcheck.Result) {
				if r.Status == participantcheck.Failed {
					cancel() // the first one is enough
				}
			}
			report, err := participantcheck.Check(ctx, cfg)
			assert.Equal(t, []string{c.rule}, failed(t, report))
			if err != nil { // nil after the last rule
				require.ErrorIs(t, err, context.Canceled)
			}
		})
	}
}

// TestExamplePasses: examples/participant is correct.
func TestExamplePasses(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "participant")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "../../examples/participant").CombinedOutput()
	require.NoError(t, err, "%s", out)
	url := startExample(t, binary, "-file", filepath.Join(t.TempDir(), "participant.jsonl"))
	for _, service := range []participantcheck.Service{participantcheck.Inventory, participantcheck.Payment} {
		cfg := config(service, url)
		cfg.PendingMethod, cfg.CaptureRefusedMethod = "", ""
		report, err := participantcheck.Check(t.Context(), cfg)
		require.NoError(t, err)
		require.Empty(t, failed(t, report), "%+v", report)
	}
}

func TestCheckIsNotPossible(t *testing.T) {
	valid := config(participantcheck.Inventory, newServer(t, correct))
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	for name, c := range map[string]struct {
		change func(*participantcheck.Config)
		want   string
	}{
		"no service at the URL": {func(c *participantcheck.Config) { c.URL = closed.URL }, "no answer from"},
		"not signed":            {func(c *participantcheck.Config) { c.Secret = "" }, "requires signed requests"},
		"another secret": {func(c *participantcheck.Config) {
			c.Secret = "whsec_" + base64.StdEncoding.EncodeToString(make([]byte, 32))
		}, "refuses a correct signature"},
		"the secret has no prefix": {func(c *participantcheck.Config) { c.Secret = "c2VjcmV0" }, "the secret is not valid"},
		"a URL without a scheme":   {func(c *participantcheck.Config) { c.URL = "localhost:9000" }, "expected http:// or https://"},
		"a URL with a query":       {func(c *participantcheck.Config) { c.URL += "?a=b" }, "expected http:// or https://"},
		"equal SKUs":               {func(c *participantcheck.Config) { c.UnknownSKU = c.SKU }, "the test data must differ"},
		"an unknown rule":          {func(c *participantcheck.Config) { c.Rules = []string{"keys", "refund"} }, "there is no rule refund for inventory; the rules are traits, "},
		"another kind of service":  {func(c *participantcheck.Config) { c.Service = "mail" }, "expected inventory or payment"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := valid
			c.change(&cfg)
			_, err := participantcheck.Check(t.Context(), cfg)
			require.ErrorContains(t, err, c.want)
		})
	}
	t.Run("one rule", func(t *testing.T) {
		cfg := valid
		cfg.Rules = []string{"keys"}
		report, err := participantcheck.Check(t.Context(), cfg)
		require.NoError(t, err)
		require.Len(t, report.Results, 1)
		assert.Equal(t, "keys", report.Results[0].Rule)
	})
	t.Run("it is interrupted", func(t *testing.T) {
		cfg := valid
		ctx, cancel := context.WithCancel(t.Context())
		cfg.Progress = func(participantcheck.Result) { cancel() }
		_, err := participantcheck.Check(ctx, cfg)
		require.ErrorIs(t, err, context.Canceled)
	})
}
