package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/tlog"
)

func torchwoodProof(asked request) error {
	policy, err := torchwood.ParsePolicy([]byte(asked.Policy))
	if err != nil {
		return err
	}
	return torchwood.VerifyProof(policy, tlog.RecordHash(asked.Entry), []byte(asked.Proof))
}

// torchwoodLog reads an exported log as its users would: the checkpoint, and all entries up to it.
func torchwoodLog(asked request) error {
	policy, err := torchwood.ParsePolicy([]byte(asked.Policy))
	if err != nil {
		return err
	}
	signed, err := os.ReadFile(filepath.Join(asked.Folder, "checkpoint"))
	if err != nil {
		return err
	}
	checkpoint, _, err := torchwood.VerifyCheckpoint(signed, policy)
	if err != nil {
		return err
	}
	tiles, err := torchwood.NewTileFS(os.DirFS(asked.Folder))
	if err != nil {
		return err
	}
	client, err := torchwood.NewClient(tiles)
	if err != nil {
		return err
	}
	count := int64(0)
	for range client.AllEntries(context.Background(), checkpoint.Tree, 0) {
		count++
	}
	if err := client.Err(); err != nil {
		return err
	}
	if count != checkpoint.N {
		return errors.Join(fmt.Errorf("%d of %d entries", count, checkpoint.N), client.Err())
	}
	return nil
}
