'use strict';
/* EXTRACT_PIECE_METADATA: what a piece says about itself. */
const piece = require('./piece');

async function execute({ pieceName, pieceVersion }) {
	return {
		...piece.load({ pieceName, pieceVersion }).metadata(),
		name: pieceName,
		version: pieceVersion,
	};
}

module.exports = { execute };
