module makegood.example/verifiers

go 1.25.0

require (
	filippo.io/mldsa v1.0.0
	filippo.io/torchwood v0.9.0
	github.com/transparency-dev/merkle v0.0.2
	golang.org/x/crypto v0.46.0
	golang.org/x/mod v0.40.0
)

require golang.org/x/sync v0.19.0 // indirect
