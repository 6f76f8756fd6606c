package mongo

import (
	"context"
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/ordersaga/ordersaga/internal/deadletter"
	"github.com/ordersaga/ordersaga/internal/deadletter/deadlettertest"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/sealed/sealedtest"
)

func openLetters(t *testing.T, db *DB) *Letters {
	t.Helper()
	l := NewLetters(db)
	require.NoError(t, Setup(t.Context(), l.Indexes()))
	return l
}

func TestLetters(t *testing.T) {
	deadlettertest.Run(t, func(t *testing.T) deadletter.Store { return openLetters(t, connect(t)) })
}

// sealedLetters opens letters with a key of their own, which a master key wraps.
func sealedLetters(t *testing.T, db *DB) *Letters {
	t.Helper()
	return openLetters(t, db).SealWith(sealedtest.Master(t, "a"))
}

func TestSealedLetters(t *testing.T) {
	deadlettertest.Run(t, func(t *testing.T) deadletter.Store { return sealedLetters(t, connect(t)) })
}

// TestSealedLettersHideWhatTheirSenderWrote: the document of a letter, its parts and a replacement have nothing of body, headers and properties.
func TestSealedLettersHideWhatTheirSenderWrote(t *testing.T) {
	const marker = "ada.lovelace@example.com"
	db := connect(t)
	s := sealedLetters(t, db)
	s.inline = 8
	long, short := deadlettertest.Letter(1, []byte(marker+marker)), deadlettertest.Letter(2, []byte(marker[:8]))
	plain := deadlettertest.Letter(3, []byte(marker))
	for _, l := range []*deadletter.Letter{&long, &short, &plain} {
		l.Message.AppID, l.Message.Headers = marker, map[string]any{marker: marker}
	}
	unsealed := openLetters(t, db)
	_, err := unsealed.Insert(t.Context(), plain)
	require.NoError(t, err)
	require.Contains(t, raw(t, db, plain.ID), "ada.love", "the search finds what is not sealed")
	for _, l := range []deadletter.Letter{long, short} {
		_, err := s.Insert(t.Context(), l)
		require.NoError(t, err)
		require.NoError(t, s.SaveBody(t.Context(), l.ID, []byte(marker+"!")))
		require.NotContains(t, raw(t, db, l.ID), "ada.love")
		require.NotContains(t, raw(t, db, l.ID), base64.StdEncoding.EncodeToString([]byte(marker)))
	}
	for _, want := range []deadletter.Letter{long, short, plain} {
		got, found, err := s.Get(t.Context(), want.ID)
		require.NoError(t, err)
		require.True(t, found)
		require.Equal(t, want.Message, got.Message, "letters that are not sealed stay readable")
	}
	body, err := s.LoadBody(t.Context(), long.ID, deadletter.HashOf([]byte(marker+"!")))
	require.NoError(t, err)
	require.Equal(t, marker+"!", string(body))

	_, _, err = unsealed.Get(t.Context(), long.ID)
	require.ErrorIs(t, err, fault.Unavailable)
	require.NoError(t, NewLetterKeys(db).Erase(t.Context(), short.ID))
	_, _, err = s.Get(t.Context(), short.ID)
	require.ErrorIs(t, err, fault.NotFound)
	listed, _, err := s.List(t.Context(), deadletter.Filter{})
	require.NoError(t, err)
	require.Len(t, listed, 3, "lists need no keys")

	require.NoError(t, s.Delete(t.Context(), long.ID))
	_, err = NewLetterKeys(db).Get(t.Context(), long.ID)
	require.ErrorIs(t, err, fault.NotFound, "the key goes with its letter")
}

// raw is everything that is stored about a letter.
func raw(t *testing.T, db *DB, id string) (text string) {
	t.Helper()
	cursor, err := db.Database.Collection(LettersCollection).Find(t.Context(), bson.D{})
	require.NoError(t, err)
	var documents []bson.Raw
	require.NoError(t, cursor.All(t.Context(), &documents))
	for _, d := range documents {
		if strings.HasPrefix(d.Lookup("_id").StringValue(), id) {
			text += string(d)
		}
	}
	require.NotEmpty(t, text)
	return text
}

// A process that dies between the parts of a payload and its letter leaves no letter; the next one makes it whole.
func TestPartsAreWrittenBeforeTheirLetter(t *testing.T) {
	db := connect(t)
	s := openLetters(t, db)
	l := deadlettertest.Letter(1, make([]byte, 2*maxInline+1))
	letters := db.Database.Collection(LettersCollection)
	_, err := s.Insert(t.Context(), l)
	require.NoError(t, err)
	n, err := letters.CountDocuments(t.Context(), bson.D{{Key: "kind", Value: "part"}})
	require.NoError(t, err)
	require.Equal(t, int64(3), n)
	_, err = letters.DeleteOne(t.Context(), bson.D{{Key: "_id", Value: l.ID}})
	require.NoError(t, err)
	_, err = letters.DeleteOne(t.Context(), bson.D{{Key: "_id", Value: l.ID + "/0002"}})
	require.NoError(t, err)
	_, found, err := s.Get(t.Context(), l.ID)
	require.NoError(t, err)
	require.False(t, found)
	inserted, err := s.Insert(t.Context(), l)
	require.NoError(t, err)
	require.True(t, inserted)
	got, found, err := s.Get(t.Context(), l.ID)
	require.NoError(t, err)
	require.True(t, found)
	require.Equal(t, l.PayloadHash, deadletter.HashOf(got.Message.Body))
}

func TestLettersAreUnavailableWithoutServer(t *testing.T) {
	client, err := driver.Connect(options.Client().ApplyURI("mongodb://127.0.0.1:1").SetServerSelectionTimeout(50 * time.Millisecond))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, client.Disconnect(context.WithoutCancel(t.Context()))) })
	s := NewLetters(&DB{Database: client.Database("none")})
	_, err = Open(t.Context(), client.Database("none"), nil)
	require.ErrorIs(t, err, fault.Unavailable)
	_, err = s.Insert(t.Context(), deadlettertest.Letter(1, nil))
	require.ErrorIs(t, err, fault.Unavailable)
	_, _, err = s.Get(t.Context(), "a")
	require.ErrorIs(t, err, fault.Unavailable)
	_, _, err = s.List(t.Context(), deadletter.Filter{})
	require.ErrorIs(t, err, fault.Unavailable)
	require.ErrorIs(t, s.Mark(t.Context(), "a", deadletter.StatusOpen, 1), fault.Unavailable)
}
