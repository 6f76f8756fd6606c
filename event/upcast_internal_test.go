package event

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/fault"
)

// A catalog of the test's own: a parcel once had a weight in kilograms, then in grams, then a list of weights.
var parcelSteps = map[oldVersion]Upcaster{
	{"parcel.weighed", 1}: func(data json.RawMessage) (json.RawMessage, error) {
		var old struct{ Kilograms *int }
		if err := json.Unmarshal(data, &old); err != nil {
			return nil, err
		}
		if old.Kilograms == nil {
			return nil, errors.New("kilograms are missing")
		}
		return json.Marshal(map[string]int{"grams": 1000 * *old.Kilograms})
	},
	{"parcel.weighed", 2}: func(data json.RawMessage) (json.RawMessage, error) {
		var old struct{ Grams int }
		err := json.Unmarshal(data, &old)
		if err != nil {
			return nil, err
		}
		return json.Marshal(map[string][]int{"grams": {old.Grams}})
	},
}

func TestUpcastGoesStepByStep(t *testing.T) {
	for version, data := range map[int]string{1: `{"kilograms":2}`, 2: `{"grams":2000}`, 3: `{"grams":[2000]}`} {
		stored := Event{ID: "e-1", Type: "parcel.weighed", Source: "/scales", Subject: "p-1", CorrelationID: "c", SchemaVersion: version,
			Data: json.RawMessage(data)}
		newest, err := upcast(stored, 3, parcelSteps)
		require.NoError(t, err)
		require.JSONEq(t, `{"grams":[2000]}`, string(newest.Data), "from version %d", version)
		require.Equal(t, data, string(stored.Data), "what is stored stays as it is: hashes are over it")
		require.Equal(t, version, stored.SchemaVersion)
		stored.Data, stored.SchemaVersion = newest.Data, 3
		require.Equal(t, stored, newest, "the envelope stays as it is")
	}
}

func TestUpcastRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		version, newest int
		data            string
		code            fault.Code
		says            string
	}{
		"a newer version":            {4, 3, `{}`, fault.UnknownVersion, "event e-1 has version 4 of parcel.weighed; it must be from 1 to 3"},
		"no version":                 {0, 3, `{}`, fault.UnknownVersion, "event e-1 has version 0 of parcel.weighed; it must be from 1 to 3"},
		"a step that is not there":   {1, 4, `{"kilograms":2}`, fault.UnknownVersion, "version 3 of parcel.weighed has no upcaster"},
		"data that is not as it was": {1, 3, `{"pounds":4}`, fault.Malformed, "upcast event e-1 from version 1 of parcel.weighed: kilograms are missing"},
	} {
		t.Run(name, func(t *testing.T) {
			e, err := upcast(Event{ID: "e-1", Type: "parcel.weighed", SchemaVersion: test.version, Data: json.RawMessage(test.data)}, test.newest, parcelSteps)
			require.Zero(t, e)
			require.Equal(t, test.code, fault.CodeOf(err))
			require.ErrorContains(t, err, test.says)
		})
	}
}

// TestEveryOldVersionHasAnUpcaster: who raises a type's version sees this first.
func TestEveryOldVersionHasAnUpcaster(t *testing.T) {
	wanted := map[oldVersion]bool{}
	for _, typ := range catalog {
		for version := 1; version < typ.Version; version++ {
			old := oldVersion{typ.Name, version}
			wanted[old] = true
			require.Contains(t, upcasters, old, "version %d of %s can still be in a log: it needs an upcaster", version, typ.Name)
		}
	}
	for old := range upcasters {
		require.True(t, wanted[old], "the upcaster from version %d of %s leads nowhere", old.version, old.name)
	}
}
