// Package sealed encrypts personal data for places where nothing can be deleted: an event log with hashed records, Temporal's histories, the bus.
// Each customer has their own key, which is stored outside the log. Deleting the key makes all data of the customer unreadable, and every hash
// can still be verified.
//
// It imports only internal/fault and the standard library; internal/mongo stores keys.
//
// # Contract
//
// Concurrency: a Box is safe for concurrent use. Keys are not cached between calls: a deleted key cannot be used in any process.
//
// Errors: NotFound for data whose key was deleted, Corrupt for invalid data, Unavailable if keys cannot be read. Errors do not contain sealed
// data.
package sealed

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"

	"github.com/google/uuid"

	"github.com/ordersaga/ordersaga/internal/fault"
)

// KeyBytes is the length of a key: AES-256.
const KeyBytes = 32

// Key is the key of a customer.
type Key struct {
	// ID is random. A customer who was erased and registers again has a different one.
	ID string
	// Secret has KeyBytes bytes.
	Secret []byte
}

// Keys stores one key per customer.
type Keys interface {
	// Add stores the key unless the customer has one, and returns the stored one: the first writer wins.
	Add(ctx context.Context, customerID string, key Key) (Key, error)
	// Get returns the customer's key. Errors: NotFound, Unavailable.
	Get(ctx context.Context, customerID string) (Key, error)
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
	key, err := b.key(ctx, customerID)
	if err != nil {
		return Sealed{}, err
	}
	box, err := open(key)
	if err != nil {
		return Sealed{}, err
	}
	text := box.Seal(nil, nil, data, bound(customerID, key.ID))
	return Sealed{KeyID: key.ID, Text: base64.StdEncoding.EncodeToString(text)}, nil
}

// Open decrypts data.
func (b *Box) Open(ctx context.Context, customerID string, s Sealed) ([]byte, error) {
	key, err := b.keys.Get(ctx, customerID)
	if err != nil {
		return nil, err
	}
	if key.ID != s.KeyID {
		return nil, fault.New(fault.NotFound, "the key of sealed data of customer %s was deleted", customerID)
	}
	box, err := open(key)
	if err != nil {
		return nil, err
	}
	text, err := base64.StdEncoding.DecodeString(s.Text)
	if err == nil {
		text, err = box.Open(nil, nil, text, bound(customerID, key.ID))
	}
	if err != nil {
		return nil, fault.New(fault.Corrupt, "sealed data of customer %s cannot be decrypted", customerID)
	}
	return text, nil
}

// key returns the customer's key, and creates it if needed.
func (b *Box) key(ctx context.Context, customerID string) (Key, error) {
	key, err := b.keys.Get(ctx, customerID)
	if fault.CodeOf(err) != fault.NotFound {
		return key, err
	}
	fresh := Key{ID: uuid.NewString(), Secret: make([]byte, KeyBytes)}
	_, _ = rand.Read(fresh.Secret) // never fails
	return b.keys.Add(ctx, customerID, fresh)
}

// open returns the cipher of a key: AES-256-GCM, with a random nonce at the beginning of each ciphertext.
func open(key Key) (cipher.AEAD, error) {
	if len(key.Secret) != KeyBytes {
		return nil, fault.New(fault.Corrupt, "key %s has %d bytes", key.ID, len(key.Secret))
	}
	block, err := aes.NewCipher(key.Secret)
	if err != nil {
		return nil, fault.Wrap(err, fault.Internal, "key %s", key.ID)
	}
	box, err := cipher.NewGCMWithRandomNonce(block)
	return box, fault.Wrap(err, fault.Internal, "key %s", key.ID)
}

// bound is the additional authenticated data: a ciphertext that is copied to another customer cannot be decrypted.
func bound(customerID, keyID string) []byte {
	return []byte("ordersaga/sealed/v1\n" + customerID + "\n" + keyID)
}
