# Only for `sam build`, which runs `make build-<id of the function in template.yaml>` for each function, with
# ARTIFACTS_DIR set to where its package is put together.
#
# Every run asks cargo for the whole workspace. The first compiles it; the others find that there is nothing to
# do, which cargo alone can tell, and take another binary. To ask for one package each would compile the
# dependencies again wherever their features differ.
# ARCHITECTURE is for a look at the packages on a machine that has no other target: the template deploys arm64.
ARCHITECTURE ?= --arm64

build-%Function:
	cargo lambda build --release $(ARCHITECTURE) --output-format binary --locked
	cp "target/lambda/$$(echo $* | sed 's/\([a-z]\)\([A-Z]\)/\1-\2/g' | tr A-Z a-z)/bootstrap" "$(ARTIFACTS_DIR)/"
