// Package sealed keeps personal data where nothing can ever be deleted: in an event log whose records are hashed, in
// Temporal's histories, on the bus. Each customer has a key of their own, kept beside the log; what is written down is
// ciphertext. Deleting the key makes all of it unreadable at once, and every hash still verifies.
//
// It imports internal/fault and the standard library only; where keys are kept is an adapter's business (internal/mongo).
//
// # Contract
//
// Threads: a Box may be used by any number of goroutines. Keys are not remembered between calls: a key that was deleted
// opens nothing from then on, in any process.
//
// Errors: NotFound for what was sealed under a key that is gone, Corrupt for what does not open, Unavailable when the keys
// cannot be read. No error says anything of what is sealed.
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
	// ID is random. A customer who was erased and registers again gets another one.
	ID string
	// Secret has KeyBytes bytes.
	Secret []byte
}

// Keys keeps one key a customer.
type Keys interface {
	// Add keeps the key unless the customer has one, and returns the one that is kept: the first writer wins.
	Add(ctx context.Context, customerID string, key Key) (Key, error)
	// Get returns the customer's key. Errors: NotFound, Unavailable.
	Get(ctx context.Context, customerID string) (Key, error)
}

// Sealed is what may be written down.
type Sealed struct {
	// KeyID names the key, Text is the base64 of nonce and ciphertext.
	KeyID string `json:"keyId"`
	Text  string `json:"sealed"`
}

// Box seals and opens.
type Box struct{ keys Keys }

// NewBox returns a box. It does no I/O.
func NewBox(keys Keys) *Box { return &Box{keys: keys} }

// Seal seals data under the customer's key, which is made when there is none. The same data is never sealed to the same
// text twice. Errors: Unavailable.
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

// Open returns what was sealed.
func (b *Box) Open(ctx context.Context, customerID string, s Sealed) ([]byte, error) {
	key, err := b.keys.Get(ctx, customerID)
	if err != nil {
		return nil, err
	}
	if key.ID != s.KeyID {
		return nil, fault.New(fault.NotFound, "the key under which data of customer %s was sealed is gone", customerID)
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
		return nil, fault.New(fault.Corrupt, "sealed data of customer %s does not open", customerID)
	}
	return text, nil
}

// key returns the customer's key; nobody had one before the first.
func (b *Box) key(ctx context.Context, customerID string) (Key, error) {
	key, err := b.keys.Get(ctx, customerID)
	if fault.CodeOf(err) != fault.NotFound {
		return key, err
	}
	fresh := Key{ID: uuid.NewString(), Secret: make([]byte, KeyBytes)}
	_, _ = rand.Read(fresh.Secret) // never fails
	return b.keys.Add(ctx, customerID, fresh)
}

// open returns the cipher of a key: AES-256 in GCM with a random nonce before each text.
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

// bound is the additional data: a text that is copied to another customer's stream does not open there.
func bound(customerID, keyID string) []byte {
	return []byte("ordersaga/sealed/v1\n" + customerID + "\n" + keyID)
}
