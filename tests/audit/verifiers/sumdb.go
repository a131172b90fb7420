package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// openWith opens a note that every one of the keys must have signed.
func openWith(asked request, verifierOf func(vkey string) (note.Verifier, error)) error {
	var verifiers []note.Verifier
	for _, vkey := range asked.VKeys {
		verifier, err := verifierOf(vkey)
		if err != nil {
			return err
		}
		verifiers = append(verifiers, verifier)
	}
	opened, err := note.Open([]byte(asked.Note), note.VerifierList(verifiers...))
	if err != nil {
		return err
	}
	if len(opened.Sigs) != len(verifiers) {
		return fmt.Errorf("%d of %d keys signed", len(opened.Sigs), len(verifiers))
	}
	return nil
}

func openNote(asked request) error {
	return openWith(asked, func(vkey string) (note.Verifier, error) {
		verifier, err := note.NewVerifier(vkey)
		if err == nil {
			return verifier, nil
		}
		// Of cosignatures only torchwood knows.
		cosigner, other := torchwood.NewCosignatureVerifier(vkey)
		if other != nil {
			return nil, err
		}
		return cosigner, nil
	})
}

func tlogInclusion(asked request) error {
	hashes, err := tlogHashes(asked.Hashes)
	if err != nil {
		return err
	}
	root, err := tlogHash(asked.Root)
	if err != nil {
		return err
	}
	return tlog.CheckRecord(hashes, asked.Size, root, asked.Index, tlog.RecordHash(asked.Entry))
}

func tlogConsistency(asked request) error {
	hashes, err := tlogHashes(asked.Hashes)
	if err != nil {
		return err
	}
	root, err1 := tlogHash(asked.Root)
	oldRoot, err2 := tlogHash(asked.OldRoot)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	return tlog.CheckTree(hashes, asked.Size, root, asked.OldSize, oldRoot)
}

// tlogTiles reads every tile of a folder that the proofs of all its entries need, verified against the root.
func tlogTiles(asked request) error {
	root, err := tlogHash(asked.Root)
	if err != nil {
		return err
	}
	tiles, err := torchwood.NewTileFS(os.DirFS(asked.Folder))
	if err != nil {
		return err
	}
	tree := tlog.Tree{N: asked.Size, Hash: root}
	reader := torchwood.TileHashReaderWithContext(context.Background(), tree, tiles)
	for index := range asked.Size {
		if _, err := reader.ReadHashes([]int64{tlog.StoredHashIndex(0, index)}); err != nil {
			return err
		}
	}
	return nil
}

func tlogHash(value []byte) (hash tlog.Hash, err error) {
	if len(value) != tlog.HashSize {
		return hash, fmt.Errorf("a hash of %d bytes", len(value))
	}
	copy(hash[:], value)
	return hash, nil
}

func tlogHashes(values [][]byte) (hashes []tlog.Hash, err error) {
	for _, value := range values {
		hash, err := tlogHash(value)
		if err != nil {
			return nil, err
		}
		hashes = append(hashes, hash)
	}
	return hashes, nil
}
