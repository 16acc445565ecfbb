# Used by `sam build` only: for each function it runs `make build-<logical id in template.yaml>`, with ARTIFACTS_DIR set
# to the directory of the package.
#
# Every run builds all functions. The first run compiles them; the later runs find them up to date, and copy another
# binary. Building one package per run would recompile the dependencies wherever their features differ.
#
# Set ARCHITECTURE to inspect the packages on a machine without the arm64 target. The template deploys arm64.
ARCHITECTURE ?= --arm64

build-%Function:
	cargo lambda build --release $(ARCHITECTURE) --output-format binary --locked
	cp "target/lambda/$$(echo $* | sed 's/\([a-z]\)\([A-Z]\)/\1-\2/g' | tr A-Z a-z)/bootstrap" "$(ARTIFACTS_DIR)/"
