/* The part of the JPEG decoder that must be C: libjpeg reports errors by jumping out of the call
 * (setjmp/longjmp), which may not cross Rust's frames.
 *
 * Strict where libjpeg is lenient: a warning that costs pixels ends the decoding, and whether the
 * data reached its end-of-image marker is reported. One object decodes one picture: libjpeg keeps
 * tables from one picture to the next, and what a frame shows must not depend on the frame before.
 * shim.rs is the Rust side. */

#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <jpeglib.h>
#include <jerror.h>

/* Scans a file may have. Optimisers write a few dozen; a file of thousands of empty ones would keep
 * the decoder busy for hours. */
#define MAX_SCANS 256

enum igpt_jpeg_status {
  IGPT_JPEG_OK = 0,
  IGPT_JPEG_BROKEN = 1,
  IGPT_JPEG_TRUNCATED = 2,
  IGPT_JPEG_MEMORY = 3,
};

struct igpt_jpeg_header {
  uint32_t width;
  uint32_t height;
  uint32_t components;
};

struct igpt_jpeg {
  struct jpeg_decompress_struct info; /* first: libjpeg hands its address back */
  struct jpeg_error_mgr errors;
  struct jpeg_source_mgr source;
  struct jpeg_progress_mgr progress;
  jmp_buf escape;
  int ran_out;   /* the data ended before its end-of-image marker */
  unsigned seen; /* a bit for each component that a scan has brought */
  int status;
  char message[JMSG_LENGTH_MAX];
};

static const uint8_t END_OF_IMAGE[2] = {0xff, 0xd9};

static struct igpt_jpeg *self_of(j_common_ptr info) { return (struct igpt_jpeg *)info; }

/* Leaves libjpeg with libjpeg's own words for what is wrong. */
static void leave(j_common_ptr info) {
  struct igpt_jpeg *self = self_of(info);
  int code = info->err->msg_code;
  info->err->format_message(info, self->message);
  if (code == JERR_OUT_OF_MEMORY || code == JERR_NO_BACKING_STORE)
    self->status = IGPT_JPEG_MEMORY;
  else
    self->status = self->ran_out ? IGPT_JPEG_TRUNCATED : IGPT_JPEG_BROKEN;
  longjmp(self->escape, 1);
}

static void leave_with(struct igpt_jpeg *self, int status, const char *message) {
  snprintf(self->message, sizeof self->message, "%s", message);
  self->status = status;
  longjmp(self->escape, 1);
}

static void on_message(j_common_ptr info, int level) {
  if (level >= 0) return; /* a trace */
  switch (info->err->msg_code) {
    /* These cost no pixel: an unknown version, parameters that a sequential scan ignores, an Adobe
     * marker with a transform of no meaning, bytes between a scan's data and the marker that is due,
     * which some cameras leave there in every frame. */
    case JWRN_JFIF_MAJOR:
    case JWRN_NOT_SEQUENTIAL:
    case JWRN_ADOBE_XFORM:
    case JWRN_EXTRANEOUS_DATA:
      return;
    default:
      leave(info);
  }
}

static void no_output(j_common_ptr info) { (void)info; }

static void source_nothing(j_decompress_ptr info) { (void)info; }

/* The data is over: the decoder is told that the image is. What it then lacks, it says itself. */
static boolean source_fill(j_decompress_ptr info) {
  self_of((j_common_ptr)info)->ran_out = 1;
  info->src->next_input_byte = END_OF_IMAGE;
  info->src->bytes_in_buffer = sizeof END_OF_IMAGE;
  return TRUE;
}

static void source_skip(j_decompress_ptr info, long count) {
  if (count <= 0) return;
  if ((size_t)count > info->src->bytes_in_buffer) {
    source_fill(info);
    return;
  }
  info->src->next_input_byte += count;
  info->src->bytes_in_buffer -= (size_t)count;
}

/* Called before each row of blocks is read: keeps account of the scans. */
static void on_progress(j_common_ptr common) {
  struct igpt_jpeg *self = self_of(common);
  j_decompress_ptr info = &self->info;
  int i;
  if (info->input_scan_number > MAX_SCANS)
    leave_with(self, IGPT_JPEG_BROKEN, "more than 256 scans");
  for (i = 0; i < info->comps_in_scan; i++)
    self->seen |= 1u << info->cur_comp_info[i]->component_index;
}

/* Every component must have come in some scan: libjpeg would leave a missing one grey. And without
 * an end marker nothing but the data itself can prove that no scan is missing. */
static void check_complete(struct igpt_jpeg *self) {
  j_decompress_ptr info = &self->info;
  int component, k;
  for (component = 0; component < info->num_components; component++) {
    if (!(self->seen >> component & 1))
      leave_with(self, self->ran_out ? IGPT_JPEG_TRUNCATED : IGPT_JPEG_BROKEN,
                 "a colour component without a scan");
    if (!self->ran_out || !info->progressive_mode) continue;
    for (k = 0; k < DCTSIZE2; k++)
      if (info->coef_bits[component][k] != 0)
        leave_with(self, IGPT_JPEG_TRUNCATED, "the last scans are missing");
  }
  /* The format lets an arithmetic coder leave out its last bytes, so that a cut goes unnoticed. */
  if (self->ran_out && info->arith_code)
    leave_with(self, IGPT_JPEG_TRUNCATED, "no end-of-image marker behind arithmetic-coded data");
}

static int create(struct igpt_jpeg *self) {
  if (setjmp(self->escape)) return self->status;
  jpeg_create_decompress(&self->info);
  return IGPT_JPEG_OK;
}

/* Makes a decoder of the JPEG at `bytes`, which must outlive it. NULL where there is no memory. */
struct igpt_jpeg *igpt_jpeg_new(const uint8_t *bytes, size_t length, long max_memory) {
  struct igpt_jpeg *self = calloc(1, sizeof *self);
  if (self == NULL) return NULL;
  self->info.err = jpeg_std_error(&self->errors);
  self->errors.error_exit = leave;
  self->errors.emit_message = on_message;
  self->errors.output_message = no_output;
  if (create(self) != IGPT_JPEG_OK) {
    jpeg_destroy_decompress(&self->info);
    free(self);
    return NULL;
  }
  self->info.mem->max_memory_to_use = max_memory;
  self->source.next_input_byte = bytes;
  self->source.bytes_in_buffer = length;
  self->source.init_source = source_nothing;
  self->source.fill_input_buffer = source_fill;
  self->source.skip_input_data = source_skip;
  self->source.resync_to_restart = jpeg_resync_to_restart;
  self->source.term_source = source_nothing;
  self->info.src = &self->source;
  self->progress.progress_monitor = on_progress;
  self->info.progress = &self->progress;
  return self;
}

void igpt_jpeg_free(struct igpt_jpeg *self) {
  jpeg_destroy_decompress(&self->info);
  free(self);
}

/* In words, what the last call that did not return OK met. Never NULL. */
const char *igpt_jpeg_message(const struct igpt_jpeg *self) { return self->message; }

/* First: reads the headers up to the first scan. */
int igpt_jpeg_read_header(struct igpt_jpeg *self, struct igpt_jpeg_header *header) {
  j_decompress_ptr info = &self->info;
  if (setjmp(self->escape)) return self->status;
  jpeg_read_header(info, TRUE);
  header->width = info->image_width;
  header->height = info->image_height;
  header->components = (uint32_t)info->num_components;
  return IGPT_JPEG_OK;
}

/* Second: begins the picture, rows of three bytes, of four (CMYK as it is stored) where there are four components. */
int igpt_jpeg_start(struct igpt_jpeg *self) {
  j_decompress_ptr info = &self->info;
  if (setjmp(self->escape)) return self->status;
  info->out_color_space = info->num_components == 4 ? JCS_CMYK : JCS_RGB;
  info->dct_method = JDCT_ISLOW;
  jpeg_start_decompress(info);
  if (!jpeg_has_multiple_scans(info)) self->seen = ~0u;
  return IGPT_JPEG_OK;
}

/* Third, as often as there are rows. After any call that did not return OK only message and free may follow. */
int igpt_jpeg_read_row(struct igpt_jpeg *self, uint8_t *row) {
  JSAMPROW rows[1];
  rows[0] = row;
  if (setjmp(self->escape)) return self->status;
  jpeg_read_scanlines(&self->info, rows, 1);
  return IGPT_JPEG_OK;
}

/* Last: reads up to the end marker. `*ended` tells whether there was one; without it the picture is complete all the same. */
int igpt_jpeg_end(struct igpt_jpeg *self, int *ended) {
  if (setjmp(self->escape)) return self->status;
  check_complete(self);
  jpeg_finish_decompress(&self->info);
  *ended = !self->ran_out;
  return IGPT_JPEG_OK;
}
