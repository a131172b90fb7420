// Command verifiers lets other people's libraries judge what Makegood signs and proves.
//
// It reads requests from standard input, a JSON object a line, and answers each with a line: {} where the named
// library accepts, {"error": …} where it refuses. Nothing here works out a hash, a proof or a signature itself.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
)

// A request names the library and what it is to judge. Bytes are base64.
type request struct {
	With  string   `json:"with"`
	Note  string   `json:"note"`
	VKeys []string `json:"vkeys"`
	// Proofs: of an entry in a tree, or of an older tree in a newer one.
	Entry   []byte   `json:"entry"`
	Index   int64    `json:"index"`
	Size    int64    `json:"size"`
	Root    []byte   `json:"root"`
	OldSize int64    `json:"old_size"`
	OldRoot []byte   `json:"old_root"`
	Hashes  [][]byte `json:"hashes"`
	// Files.
	Proof  string `json:"proof"`
	Policy string `json:"policy"`
	Folder string `json:"folder"`
}

var judges = map[string]func(request) error{
	"sumdb/note":             openNote,
	"sumdb/tlog inclusion":   tlogInclusion,
	"sumdb/tlog consistency": tlogConsistency,
	"sumdb/tlog tiles":       tlogTiles,
	"merkle inclusion":       merkleInclusion,
	"merkle consistency":     merkleConsistency,
	"torchwood proof":        torchwoodProof,
	"torchwood log":          torchwoodLog,
	"mldsa":                  openWithMLDSA,
}

func main() {
	requests := bufio.NewReader(os.Stdin)
	answers := json.NewEncoder(os.Stdout)
	for {
		line, err := requests.ReadBytes('\n')
		if err != nil {
			return
		}
		answer := map[string]string{}
		if err := judged(line); err != nil {
			answer["error"] = err.Error()
		}
		if err := answers.Encode(answer); err != nil {
			return
		}
	}
}

func judged(line []byte) error {
	var asked request
	if err := json.Unmarshal(line, &asked); err != nil {
		return err
	}
	judge, known := judges[asked.With]
	if !known {
		return fmt.Errorf("%q is none of the libraries here", asked.With)
	}
	return judge(asked)
}
