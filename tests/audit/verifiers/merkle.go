package main

import (
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
)

func merkleInclusion(asked request) error {
	hasher := rfc6962.DefaultHasher
	leaf := hasher.HashLeaf(asked.Entry)
	return proof.VerifyInclusion(hasher, uint64(asked.Index), uint64(asked.Size), leaf, asked.Hashes, asked.Root)
}

func merkleConsistency(asked request) error {
	return proof.VerifyConsistency(
		rfc6962.DefaultHasher, uint64(asked.OldSize), uint64(asked.Size), asked.Hashes, asked.OldRoot, asked.Root)
}
