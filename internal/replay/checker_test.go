package replay_test

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/api/proxy"
	"go.temporal.io/sdk/client"

	"github.com/ordersaga/ordersaga/internal/keyset"
	"github.com/ordersaga/ordersaga/internal/payloads"
	"github.com/ordersaga/ordersaga/internal/replay"
	"github.com/ordersaga/ordersaga/internal/testenv"
	"github.com/ordersaga/ordersaga/workflows"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// TestEncryptedHistoriesNeedTheirKey: with the key they replay, and without it each is a finding, like any other history that does not replay.
func TestEncryptedHistoriesNeedTheirKey(t *testing.T) {
	keys, err := keyset.Parse("a " + base64.StdEncoding.EncodeToString([]byte(strings.Repeat("a", keyset.KeyBytes))))
	require.NoError(t, err)
	files, err := filepath.Glob("../../workflows/testdata/histories/*.json")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	checker := func(keys keyset.Set) *replay.Checker {
		options := client.Options{}
		payloads.Configure(&options, keys)
		return replay.New(replay.Config{
			Workflows: workflows.Types(), Client: options, Name: func(workflowType, workflowID string) (string, string) { return workflowType, workflowID },
		})
	}
	with, without := checker(keys), checker(keyset.Set{})
	for _, file := range files {
		history := encrypted(t, file, keys)
		require.Nil(t, with.Check(history), file)
		found := without.Check(history)
		require.NotNil(t, found, file)
		require.Equal(t, replay.Broken, found.Kind)
		require.Contains(t, found.Detail, `the key "a" is not configured`)
	}
}

// encrypted reads a history and encrypts its payloads.
func encrypted(t *testing.T, file string, keys keyset.Set) *historypb.History {
	t.Helper()
	f, err := os.Open(file)
	require.NoError(t, err)
	defer f.Close()
	history, err := replay.Read(f)
	require.NoError(t, err)
	require.NoError(t, proxy.VisitPayloads(t.Context(), history, proxy.VisitPayloadsOptions{
		SkipSearchAttributes: true,
		Visitor: func(_ *proxy.VisitPayloadsContext, plain []*commonpb.Payload) ([]*commonpb.Payload, error) {
			return payloads.NewCodec(keys).Encode(plain)
		},
	}))
	return history
}
