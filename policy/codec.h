/* codec.h - what the readers of both protocols answer. */
#pragma once

enum codec {
	CODEC_MORE,    /* everything was taken, the message is not complete yet */
	CODEC_MESSAGE, /* one message is complete; what follows it was not taken */
	CODEC_BROKEN,  /* never a message; the connection is of no use any more */
};
