/* Makes v4l2_colour.txt: what the macros of linux/videodev2.h make of a camera's colour fields.
 * usage: cc -o colour tests/golden/v4l2_colour.c && ./colour >tests/golden/v4l2_colour.txt
 * The file checked in is of Debian 12's linux-libc-dev 6.1.187-1. */

#include <linux/videodev2.h>
#include <stdio.h>

int main(void) {
  puts("# colorspace ycbcr_enc quantization is_rgb_or_hsv: ycbcr_enc quantization (made by v4l2_colour.c)");
  for (unsigned colorspace = 0; colorspace <= V4L2_COLORSPACE_DCI_P3; colorspace++)
    for (unsigned ycbcr_enc = 0; ycbcr_enc <= V4L2_YCBCR_ENC_SMPTE240M; ycbcr_enc++)
      for (unsigned quantization = 0; quantization <= V4L2_QUANTIZATION_LIM_RANGE; quantization++)
        for (int rgb = 0; rgb < 2; rgb++) {
          /* A camera's picture is neither a television signal nor one in high definition. */
          unsigned space = colorspace ? colorspace : V4L2_MAP_COLORSPACE_DEFAULT(0, 0);
          unsigned enc = ycbcr_enc ? ycbcr_enc : V4L2_MAP_YCBCR_ENC_DEFAULT(space);
          unsigned range = quantization ? quantization : V4L2_MAP_QUANTIZATION_DEFAULT(rgb, space, enc);
          printf("%u %u %u %d: %u %u\n", colorspace, ycbcr_enc, quantization, rgb, enc, range);
        }
  return 0;
}
