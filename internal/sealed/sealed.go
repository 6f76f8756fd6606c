// Package sealed encrypts personal data for places where nothing can be deleted: an event log with hashed records, Temporal's histories, the bus.
// Each subject, a customer or a dead letter, has its own key, which is stored outside the log and may be wrapped by a master key (wrap.go). Deleting
// the key makes all data of the subject unreadable, and every hash can still be verified.
//
// It imports only internal/fault, internal/keyset and the standard library; internal/mongo stores keys.
//
// # Contract
//
// Concurrency: a Box is safe for concurrent use. Keys are not cached between calls: a deleted key cannot be used in any process.
//
// Errors: NotFound for data whose key was deleted, Corrupt for invalid data, Unavailable if keys cannot be read or unwrapped. Errors do not contain
// sealed data.
package sealed

import (
	"context"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"

	"github.com/google/uuid"

	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/keyset"
)

// KeyBytes is the length of a key: AES-256.
const KeyBytes = keyset.KeyBytes

// Key is the key of a subject.
type Key struct {
	// ID is random. A customer who was erased and registers again has a different one.
	ID string
	// Secret has KeyBytes bytes, unless it is wrapped.
	Secret []byte
	// Master is the ID of the master key that has wrapped Secret; empty when Secret is not wrapped.
	Master string
}

// Keys stores one key per subject.
type Keys interface {
	// Add stores the key unless the subject has one, and returns the stored one: the first writer wins.
	Add(ctx context.Context, subject string, key Key) (Key, error)
	// Get returns the subject's key. Errors: NotFound, Unavailable.
	Get(ctx context.Context, subject string) (Key, error)
}

// Sealed is encrypted data.
type Sealed struct {
	// KeyID is the ID of the key; Text is the base64 of nonce and ciphertext.
	KeyID string `json:"keyId"`
	Text  string `json:"sealed"`
}

// Box encrypts and decrypts.
type Box struct{ keys Keys }

// NewBox returns a box. It does no I/O.
func NewBox(keys Keys) *Box { return &Box{keys: keys} }

// Seal encrypts data with the customer's key, which is created if needed. Equal data has different ciphertexts. Errors: Unavailable.
func (b *Box) Seal(ctx context.Context, customerID string, data []byte) (Sealed, error) {
	c, err := b.Sealer(ctx, customerID)
	if err != nil {
		return Sealed{}, err
	}
	return Sealed{KeyID: c.KeyID, Text: base64.StdEncoding.EncodeToString(c.Seal("", data))}, nil
}

// Open decrypts data.
func (b *Box) Open(ctx context.Context, customerID string, s Sealed) ([]byte, error) {
	c, err := b.Opener(ctx, customerID, s.KeyID)
	if err != nil {
		return nil, err
	}
	text, err := base64.StdEncoding.DecodeString(s.Text)
	if err != nil {
		text = nil
	}
	return c.Open("", text)
}

// Cipher encrypts and decrypts data of a subject.
type Cipher struct {
	KeyID   string
	subject string
	aead    cipher.AEAD
}

// Sealer returns the cipher of a subject's key, which is created if needed. Errors: Unavailable.
func (b *Box) Sealer(ctx context.Context, subject string) (Cipher, error) {
	key, err := b.keys.Get(ctx, subject)
	if fault.CodeOf(err) == fault.NotFound {
		fresh := Key{ID: uuid.NewString(), Secret: make([]byte, KeyBytes)}
		_, _ = rand.Read(fresh.Secret) // never fails
		key, err = b.keys.Add(ctx, subject, fresh)
	}
	if err != nil {
		return Cipher{}, err
	}
	return cipherOf(subject, key)
}

// Opener returns the cipher of a subject's key with this ID. Errors: NotFound when the key was deleted, Unavailable.
func (b *Box) Opener(ctx context.Context, subject, keyID string) (Cipher, error) {
	key, err := b.keys.Get(ctx, subject)
	if err != nil {
		return Cipher{}, err
	}
	if key.ID != keyID {
		return Cipher{}, fault.New(fault.NotFound, "the key of sealed data of %s was deleted", subject)
	}
	return cipherOf(subject, key)
}

func cipherOf(subject string, key Key) (Cipher, error) {
	aead, err := keyset.New(key.Secret)
	return Cipher{key.ID, subject, aead}, fault.Wrap(err, fault.Corrupt, "key %s", key.ID)
}

// Seal encrypts data. The purpose, which distinguishes data of one subject, is authenticated.
func (c Cipher) Seal(purpose string, data []byte) []byte {
	return c.aead.Seal(nil, nil, data, c.bound(purpose))
}

// Open decrypts data. Errors: Corrupt.
func (c Cipher) Open(purpose string, text []byte) ([]byte, error) {
	data, err := c.aead.Open(nil, nil, text, c.bound(purpose))
	if err != nil {
		return nil, fault.New(fault.Corrupt, "sealed data of %s cannot be decrypted", c.subject)
	}
	return data, nil
}

// bound is the additional authenticated data: a ciphertext that is copied to another subject cannot be decrypted.
func (c Cipher) bound(purpose string) []byte {
	text := "ordersaga/sealed/v1\n" + c.subject + "\n" + c.KeyID
	if purpose != "" {
		text += "\n" + purpose
	}
	return []byte(text)
}
