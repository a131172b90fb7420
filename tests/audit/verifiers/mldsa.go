package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"strings"

	"filippo.io/mldsa"
	"filippo.io/torchwood"
	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/mod/sumdb/note"
)

// openWithMLDSA opens a note with keys of type 0x06, which torchwood v0.9.0 does not know yet. What they sign is put
// together after c2sp.org/tlog-cosignature; the signature is for the library.
func openWithMLDSA(asked request) error {
	return openWith(asked, func(vkey string) (note.Verifier, error) { return newCosigner(vkey) })
}

type cosigner struct {
	name string
	id   uint32
	key  *mldsa.PublicKey
}

func newCosigner(vkey string) (*cosigner, error) {
	parts := strings.SplitN(vkey, "+", 3)
	if len(parts) != 3 {
		return nil, errors.New("malformed key")
	}
	id, err1 := hex.DecodeString(parts[1])
	material, err2 := base64.StdEncoding.DecodeString(parts[2])
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	digest := sha256.Sum256(append([]byte(parts[0]+"\n"), material...))
	if len(material) < 1 || material[0] != 0x06 || !bytes.Equal(digest[:4], id) {
		return nil, errors.New("not a key of type 0x06, or its id does not follow from it")
	}
	key, err := mldsa.NewPublicKey(mldsa.MLDSA44(), material[1:])
	if err != nil {
		return nil, err
	}
	return &cosigner{parts[0], binary.BigEndian.Uint32(id), key}, nil
}

func (c *cosigner) Name() string    { return c.name }
func (c *cosigner) KeyHash() uint32 { return c.id }

func (c *cosigner) Verify(text, signature []byte) bool {
	checkpoint, err := torchwood.ParseCheckpoint(string(text))
	if err != nil || len(signature) < 8 {
		return false
	}
	var message cryptobyte.Builder
	message.AddBytes([]byte("subtree/v1\n\x00"))
	message.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes([]byte(c.name)) })
	message.AddBytes(signature[:8])
	message.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes([]byte(checkpoint.Origin)) })
	message.AddUint64(0)
	message.AddUint64(uint64(checkpoint.N))
	message.AddBytes(checkpoint.Hash[:])
	return mldsa.Verify(c.key, message.BytesOrPanic(), signature[8:], nil) == nil
}
